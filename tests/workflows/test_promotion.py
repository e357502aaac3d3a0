from domain.outcome import Outcome
from tests.town import Town


async def test_a_release_walks_to_production(town: Town) -> None:
    """
    One approval by somebody else carries a release all the way.
    """
    for environment in (town.dev, town.staging, town.production):
        report = await town.promoted("1.0.0", environment)
        assert report.outcome is Outcome.PROMOTED, report.why

    assert town.world.version(town.place(town.production)) == "1.0.0"
