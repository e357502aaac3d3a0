"""``quarantine``, ``release quarantine``, ``release unquarantine``."""

from typing import TYPE_CHECKING

from clients.cli.freezing import Why
from clients.cli.grammar import By, Comment, Service, Version
from clients.cli.identity import who_am_i
from clients.cli.reading import open_releases, read_about
from clients.cli.releasing import done_with_store, release
from clients.cli.terminal import say, say_aside, say_commands
from clients.trouble import UsageError
from domain.actor import Actor, Channel
from domain.roles import Door
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from activities.quarantines import Said
    from domain.gate import Quarantine

LONGEST_REASON = 2000
LONGEST_BY = 200


@release.command()
def quarantine(service: Service, version: Version, reason: Why, by: By = "") -> None:
    """Never let a release be promoted again, anywhere. What stands stays, and a rollback may bring it back."""
    from activities.quarantines import put_into_quarantine

    if not reason.strip():
        raise UsageError("Say why, for everybody who finds it kept out: --reason TEXT")
    place = surroundings()
    said = _said(who_am_i(by, place.by), reason)
    made = done_with_store(put_into_quarantine(open_releases(place), service, version, said))
    say(f"{version} of {service} is {made}.", "yellow")
    _say_unheeded(place, made)
    say_commands([f"towpath release unquarantine {service} {version}"])


@release.command()
def unquarantine(service: Service, version: Version, comment: Comment = "", by: By = "") -> None:
    """Let a release be promoted again."""
    from activities.quarantines import release_from_quarantine

    place = surroundings()
    said = _said(who_am_i(by, place.by), comment)
    made = done_with_store(release_from_quarantine(open_releases(place), service, version, said))
    say(f"{version} of {service} is {made}.", "green")
    _say_unheeded(place, made)


def _say_unheeded(place: Surroundings, made: "Quarantine") -> None:
    """Say where it changes nothing, since its sender may not: each environment judges that for itself."""
    from domain.permission import why_may_not

    configuration = read_about(place, made.service)
    door = Door.UNQUARANTINE if made.lifted else Door.QUARANTINE
    for environment in configuration.environments:
        if why := why_may_not(configuration, made.by.name, door, environment, made.service):
            say_aside(f"It does not count in {environment}: {why}.")


def _said(by: str, reason: str) -> "Said":
    from activities.clock import SystemClock
    from activities.quarantines import Said

    if not by.strip() or len(by) > LONGEST_BY or len(reason) > LONGEST_REASON:
        raise UsageError(
            f"A name has 1 to {LONGEST_BY} characters, and a reason {LONGEST_REASON} at most. Say it shorter."
        )
    return Said(Actor(name=by, channel=Channel.STORE), reason.strip(), SystemClock().now())
