"""``approve``, ``reject``, ``hold``, ``resume``, ``retry``, ``skip``."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from clients.cli.asking import ask, me, meaning, signer
from clients.cli.grammar import (
    By,
    ChangeWords,
    Comment,
    Key,
    PromotionWords,
    read_promotion,
    read_workflow_id,
)
from clients.cli.terminal import confirmed, is_terminal, say, say_aside, say_commands, say_json
from clients.trouble import DeclinedError, UsageError
from domain.outcome import Exit, Phase

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.promotion import Promotion
    from clients.signing import Signer
    from domain.approval import Verdict
    from domain.signature import Signature

PlanDigits = Annotated[
    str,
    typer.Option("--plan", metavar="DIGITS", help="The plan you have read: its first 8 hex digits, or more."),
]
Bare = Annotated[
    bool, typer.Option("--signal", help="Leave it as a bare signal, for an engine that is not there yet.")
]
Written = Annotated[
    bool,
    typer.Option("--print", help="Send nothing: print the signal's JSON, signed where a key is named."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Decide on whatever plan waits now, unread.")]


def approve(
    words: PromotionWords,
    plan: PlanDigits = "",
    by: By = "",
    comment: Comment = "",
    key: Key = "",
    yes: Yes = False,
    bare: Bare = False,
    written: Written = False,
) -> None:
    """Let a promotion in. Without --plan, the plan is shown and you are asked."""
    _decide("approve", words, plan, _Said(me(by), comment, signer(key)), yes=yes, bare=bare, written=written)


def reject(
    words: PromotionWords,
    plan: PlanDigits = "",
    by: By = "",
    comment: Comment = "",
    key: Key = "",
    yes: Yes = False,
    bare: Bare = False,
    written: Written = False,
) -> None:
    """Do not let a promotion in: one rejection ends it."""
    _decide("reject", words, plan, _Said(me(by), comment, signer(key)), yes=yes, bare=bare, written=written)


class _Said(NamedTuple):
    """Who decides, what they say about it, and what they sign it with."""

    by: str
    comment: str
    signs: "Signer | None"


def _decide(
    verb: str, words: list[str], plan: str, me: _Said, *, yes: bool, bare: bool, written: bool
) -> None:
    service, version, environment = read_promotion(words)
    by, comment, _ = me

    async def work(towpath: "Towpath") -> Exit:
        from domain.approval import Verdict

        promotion, verdict = towpath.promotion(service, version, environment), Verdict(verb)
        async with meaning(towpath, promotion.id):
            digits = plan or await _read_plan(promotion, verdict, me, agreed=yes or written)
        signed = await _sign(promotion, verdict, digits, me)
        if written:
            return _write_out(promotion, verdict, digits, me, signed)
        if bare:
            await promotion.send_decision(verdict, digits, by=by, comment=comment, signed=signed)
            say(f"The signal {verdict} is sent. What comes of it: {promotion.see}")
            return Exit.DONE
        answer = promotion.approve if verdict is Verdict.APPROVE else promotion.reject
        said = await answer(digits, by=by, comment=comment, signed=signed)
        say(f"{promotion}: {said}.", "green")
        return Exit.DONE

    ask(work, by)


async def _sign(promotion: "Promotion", verdict: "Verdict", digits: str, me: _Said) -> "Signature | None":
    """Sign the decision on the plan that waits, if it is the one that was read.

    Raises ``DeclinedError`` where it would not count: nothing is sent then.
    """
    from domain.approval import UNSIGNED
    from domain.value import names_digest

    proposal = (await promotion.status()).proposal
    if proposal is None:
        return None
    if me.signs is None:
        if proposal.terms.approval.signed:
            raise DeclinedError(f"{promotion}: {UNSIGNED}.")
        return None
    intent = proposal.plan.intent
    if not names_digest(digits, intent):
        raise DeclinedError(
            f"It is not plan {digits} that waits for {promotion}, but {intent[7:15]}: nothing was signed. "
            f"Read it: {promotion.see}"
        )
    return promotion.sign(me.signs, verdict, proposal, by=me.by, comment=me.comment)


def _write_out(
    promotion: "Promotion", verdict: "Verdict", digits: str, me: _Said, signed: "Signature | None"
) -> Exit:
    """Print what the Temporal UI, or its command line, is to be given as the signal's input."""
    from domain.approval import DecisionWord

    answer = DecisionWord(by=me.by, comment=me.comment, plan=digits, signed=signed)
    say_json(answer)
    say_aside(f"That is the input of the signal “{verdict}” to the workflow {promotion.id}.")
    return Exit.DONE


async def _read_plan(promotion: "Promotion", verdict: "Verdict", me: _Said, *, agreed: bool) -> str:
    """Return the plan that waits, once a person has seen it.

    A decision is about a plan that somebody has read.
    """
    from clients.cli.showing import show_plan
    from domain.hints import keyed
    from domain.value import short

    status = await promotion.status()
    if status.phase is Phase.ENDED:
        raise DeclinedError(f"{promotion} has ended: {status.outcome}. There is nothing left to decide.")
    if status.proposal is None or status.intent is None:
        if verdict == "reject":
            return ""
        raise DeclinedError(
            f"{promotion} has no plan to decide on yet: it is {status.phase}. See: {promotion.see}"
        )
    digits = short(status.intent)
    if agreed:
        return digits
    show_plan(status.proposal)
    if is_terminal() and confirmed(f"{verdict} plan {digits}?"):
        return digits
    if is_terminal():
        raise DeclinedError("Nothing was decided.")
    subject = promotion.subject
    words = f"{subject.service} {promotion.version} {subject.environment} --plan {digits} --by {quote(me.by)}"
    words += f" --comment {quote(me.comment)}" if me.comment else ""
    command = keyed(f"towpath {verdict} {words}", signed=status.proposal.terms.approval.signed)
    raise UsageError(f"A decision names the plan that you have read. If it is this one: {command}")


def hold(words: ChangeWords, by: By = "", comment: Comment = "", key: Key = "") -> None:
    """Hold a change before its next step, for as long as its environment allows."""
    _steer("hold", words, _Said(me(by), comment, signer(key)))


def resume(words: ChangeWords, by: By = "", comment: Comment = "", key: Key = "") -> None:
    """Let what is held go on."""
    _steer("resume", words, _Said(me(by), comment, signer(key)))


def retry(words: ChangeWords, by: By = "", comment: Comment = "", key: Key = "") -> None:
    """Try again what is stuck."""
    _steer("retry", words, _Said(me(by), comment, signer(key)))


def skip(words: ChangeWords, by: By = "", comment: Comment = "", key: Key = "") -> None:
    """Leave what is stuck as it is: what stands there is then unknown, until somebody adopts it."""
    _steer("skip", words, _Said(me(by), comment, signer(key)))


def _steer(verb: str, words: list[str], me: _Said) -> None:
    workflow_id = read_workflow_id(words)

    async def work(towpath: "Towpath") -> Exit:
        from clients.steering import steer
        from domain.doors import Signal

        signal: Signal = Signal(verb)
        async with meaning(towpath, workflow_id):
            heard = await steer(
                towpath.spaces, workflow_id, signal, by=me.by, comment=me.comment, signer=me.signs
            )
        say(f"{signal} was sent to {heard}. What comes of it:")
        say_commands([f"towpath status {heard}"])
        return Exit.DONE

    ask(work, me.by)
