"""``review list``, ``review sign``."""

from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, me, signer
from clients.cli.grammar import AsJson, By, EnvironmentName, Key, Service
from clients.cli.reading import find_reviews, read_reviews
from clients.cli.terminal import leave, say, say_commands, say_json, say_lines
from clients.trouble import FailedError, UsageError
from domain.hints import keyed
from domain.outcome import Exit
from domain.value import Value
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from domain.names import Subject
    from domain.review import Broken

review = typer.Typer(
    help="What was done in an emergency, and who has looked at it since.", no_args_is_help=True
)

All = Annotated[bool, typer.Option("--all", help="Those that were reviewed, too.")]
Turn = Annotated[int, typer.Argument(metavar="TURN", show_default=False, help="As the list names it.")]
Found = Annotated[
    str, typer.Option("--comment", metavar="TEXT", help="What you found, for everybody to read.")
]


class Listed(Value):
    """What ``review list --json`` prints."""

    reviews: tuple[dict[str, object], ...]


@review.command("list")
def list_(all_: All = False, as_json: AsJson = False) -> None:
    """Show every broken glass that nobody has reviewed yet. Ends with 10 where there is one."""
    found = [one for one in read_reviews(surroundings()) if all_ or one.is_open]
    is_open = any(one.is_open for one in found)
    if as_json:
        say_json(Listed(reviews=tuple(one.model_dump(mode="json") for one in found)))
    elif not found:
        say("No review is open.", "green")
    for one in () if as_json else found:
        broken = one.broken
        say(
            f"{broken.version} of {broken.subject}, turn {broken.turn}: {one}.",
            "yellow" if one.is_open else "",
        )
        say_lines(f"    past a gate that was shut: {gate}" for gate in broken.past)
        if one.is_open:
            where = f"{broken.subject.service} {broken.subject.environment} {broken.turn}"
            command = f"towpath review sign {where} --comment TEXT"
            say_commands([keyed(command, signed=bool(broken.key))])
    leave(Exit.REFUSED if is_open else Exit.DONE)


@review.command()
def sign(
    service: Service,
    environment: EnvironmentName,
    turn: Turn,
    comment: Found,
    by: By = "",
    key: Key = "",
) -> None:
    """Sign that you have looked at a broken glass, and what you found. Never one's own."""
    from clients.speaking import subject_of

    subject, actor, signs = subject_of(service, environment), me(by), signer(key)
    if not comment.strip():
        raise UsageError("Say what you found, for everybody who reads it later: --comment TEXT")
    broken = _broken(subject, turn)

    async def work(towpath: "Towpath") -> Exit:
        from clients.review import ReviewDesk

        signed = signs.sign_review(broken, actor, comment) if signs else None
        await ReviewDesk(towpath.spaces.of(environment)).sign(
            subject, turn, by=actor, comment=comment, signed=signed
        )
        if next(one.is_open for one in await find_reviews(surroundings()) if one.broken == broken):
            raise FailedError(f"The review of turn {turn} of {subject} was not written down. Sign it again.")
        say(f"The review of turn {turn} of {subject} is signed, by {actor}.", "green")
        return Exit.DONE

    ask(work, actor)


def _broken(subject: "Subject", turn: int) -> "Broken":
    for one in read_reviews(surroundings()):
        if (one.broken.subject, one.broken.turn) == (subject, turn):
            return one.broken
    raise UsageError(f"Nobody broke the glass in turn {turn} of {subject}. See: towpath review list --all")
