"""What stands where, as people are told of it."""

from domain.environment import Absent, Placement
from domain.inventory import Place, Stand
from domain.value import digest_of

ONE, TWO = (
    Placement(version=version, release=digest_of(version.encode()), artifact=digest_of(b"x"))
    for version in ("1.0.0", "2.0.0")
)


def test_targets_that_disagree_are_named() -> None:
    """Which version stands at which of a component's targets; where all agree, nothing is said."""
    stands = [
        Stand(component="api", holding=ONE),
        Stand(component="site@eu-1", holding=TWO),
        Stand(component="site@eu-2", holding=ONE),
        Stand(component="site@us-1", holding=TWO),
        Stand(component="docs@eu-1", holding=Absent()),
        Stand(component="docs@eu-2", holding=Absent()),
    ]

    place = Place(service="shop", environment="dev", stands=tuple(stands))

    assert place.disagreements == ("site is not the same everywhere: 2.0.0 at eu-1, us-1; 1.0.0 at eu-2",)
