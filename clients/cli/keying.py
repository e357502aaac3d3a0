"""The private key of an environment, on the machine of its worker: made where there is none, and published."""

from typing import TYPE_CHECKING

from clients.cli.terminal import say
from clients.trouble import UsageError
from workers.settings import Surroundings

if TYPE_CHECKING:
    from domain.configuration import Configuration


def make_published_key(place: Surroundings, configuration: "Configuration", name: str) -> None:
    """Make the environment's key where there is none, and publish its public half. Raises ``UsageError``."""
    from activities.key_publishing import KeyNotPublishedError, publish_key
    from activities.keyring import make_key
    from activities.ports import SealError

    if configuration.environments[name].key and not (place.keys / f"{name}.pem").exists():
        raise UsageError(
            f"The private key of {name} is not in “{place.keys}”, though environments/{name}.yaml names its "
            "public half. Put it back there. Where it is lost for good, remove the line that begins with "
            "“key:” from that file, and a new one is made; nothing that was sealed before is believed "
            "then: see docs/how-to/recover.md (a key is missing), which also says what to move away first."
        )
    try:
        if publish_key(place.folder, name, make_key(place.keys, name)):
            say(f"Made a key for {name}, and wrote its public half to environments/{name}.yaml.")
    except (SealError, KeyNotPublishedError) as error:
        raise UsageError(str(error)) from error
