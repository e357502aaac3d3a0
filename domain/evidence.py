"""The evidence report: what an auditor reads, in Markdown, of one release or of a period."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from domain.approval import say_quorums
from domain.audit import Account, Audit, Noted, Told, Vouched
from domain.logbook_telling import tell_note
from domain.names import Subject
from domain.terms import Story
from domain.urgency import Urgency
from domain.value import Digest, say_duration, short

MOST_DEEDS: Final = 20
"""So many are written out of one change."""
KEEP: Final = (
    "Each is bound to all before it. Keep these digests elsewhere: `towpath audit verify --head DIGEST` finds out "
    "later whether it is still there."
)


def tell_audit(audit: Audit) -> str:
    """Return the report as Markdown."""
    return "\n".join(_lines(audit)) + "\n"


def _lines(audit: Audit) -> Iterator[str]:
    yield "# Evidence"
    yield ""
    if audit.scope:
        yield f"Told of: {audit.scope}."
        yield ""
    yield f"{_summary(audit)} All times are UTC."
    if audit.findings:
        yield ""
        yield "## What does not hold"
        yield ""
        yield from (f"* {finding}" for finding in audit.findings)
    promoted: dict[tuple[Subject, int | None], list[Told]] = {}
    for told in audit.promotions:
        promoted.setdefault((told.subject, told.turn), []).append(told)
    for account in audit.accounts:
        yield ""
        yield from _account(account, promoted.get((account.subject, account.turn), []))
    for told in audit.promotions:
        if told.turn is None:
            yield ""
            yield from tell_promotion(told)
    yield from _notes("Gates, and what people said", audit.said)
    yield from _notes("Attempts that were refused", audit.attempts)
    yield from _newest("receipts", audit.heads)
    yield from _newest("pages of ledgers", audit.ledgers)
    yield from _newest("pages of logbooks", audit.logbooks)


def _notes(title: str, notes: Sequence[Noted]) -> Iterator[str]:
    if not notes:
        return
    yield ""
    yield f"## {title}"
    yield ""
    for one in notes:
        where = f"page {one.number} of the logbook, `{short(one.fingerprint)}`"
        yield f"* {one.at:%Y-%m-%d %H:%M:%S} UTC, {one.environment}: {_one_line(tell_note(one))} ({where})"


def _newest(what: str, digests: Mapping[str, Digest]) -> Iterator[str]:
    if not digests:
        return
    yield ""
    yield f"## The newest {what}"
    yield ""
    yield KEEP
    yield ""
    yield from (f"* {place}: `{digest}`" for place, digest in digests.items())


def _summary(audit: Audit) -> str:
    counts = ((len(audit.accounts), "receipt"), (len(audit.promotions), "promotion"))
    parts = [f"{count} {what}{_plural(count)}" for count, what in counts]
    parts += [say_pages(len(audit.notes))] if audit.notes else []
    told = f"{', '.join(parts[:-1])} and {parts[-1]} are told of."
    if not audit.findings:
        return f"{told} Every seal and signature, and every chain of receipts and records, is good."
    return f"{told} **{len(audit.findings)} of what was looked at does not hold.**"


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def say_pages(count: int) -> str:
    return f"{count} page{_plural(count)} of logbooks"


def _account(account: Account, promotions: Sequence[Told]) -> Iterator[str]:
    yield f"## {account.subject}: {_what(account)}"
    yield ""
    took = say_duration(account.ended - account.began)
    yield f"* When: {account.began:%Y-%m-%d %H:%M:%S} UTC, for {took}, as turn {account.turn}"
    if account.release:
        yield f"* Release: `{account.release}`"
    yield f"* Asked for by {account.requester}{f': {_one_line(account.reason)}' if account.reason else ''}"
    yield from (f"* Gates overridden: {_one_line(one.told(one.by))}" for one in account.overridden)
    yield from _approval(account)
    yield from _deeds(account)
    if account.evidence:
        yield f"* Health: {_one_line('; '.join(account.evidence))}"
    if account.rehearsed:
        yield f"* Undo: {_one_line(account.rehearsed)}"
    if account.why and account.why != account.reason:
        yield f"* Why: {_one_line(account.why)}"
    yield f"* Receipt: `{short(account.fingerprint)}`"
    for told in promotions:
        yield from _doors(told)
        yield _record(told)


def _what(account: Account) -> str:
    """Say what a change was, and how it ended."""
    of = f" of turn {account.of}" if account.of else ""
    match account.story:
        case Story.PROMOTION:
            return f"{account.version} {account.outcome}"
        case Story.ADOPTION:
            return "what stood there was adopted"
        case Story.ROLLBACK | Story.SETTLEMENT:
            return f"{account.story}{of}, {account.outcome}"
        case _:
            assert_never(account.story)


def _deeds(account: Account) -> Iterator[str]:
    if account.deeds:
        undone = "undone again" if account.healthy else "undone again in part"
        yield "* Done:" if account.stood else f"* Done, and {undone}:"
    yield from (f"    * {_one_line(deed)}" for deed in account.deeds[:MOST_DEEDS])
    if (more := len(account.deeds) - MOST_DEEDS) > 0:
        yield f"    * and {more} more"
    if not account.healthy:
        yield "* **Something of it was left undone, because a person said to**"


def tell_promotion(told: Told) -> Iterator[str]:
    """Yield what the records of a promotion say that left no receipt of its own."""
    yield f"## {told.subject}: {told.version} {_how(told)}"
    yield ""
    until = f", until {told.ended:%Y-%m-%d %H:%M:%S} UTC" if told.ended else ""
    yield f"* When: {told.began:%Y-%m-%d %H:%M:%S} UTC{until}; {_changed(told)}"
    if told.release:
        yield f"* Release: `{told.release}`"
    yield f"* Asked for by {told.requester}{f': {_one_line(told.reason)}' if told.reason else ''}"
    if told.quorums:
        yield f"* Had to be approved by {say_quorums(told.quorums)} ({_proof(signed=told.signed)})"
    yield from (f"    * {_decided(one)}" for one in told.decisions)
    if told.why:
        yield f"* Why: {_one_line(told.why)}"
    yield from _doors(told)
    yield _record(told)


def _changed(told: Told) -> str:
    if told.ended is None:
        return "no receipt says yet that anything was changed by it"
    return "nothing was changed by it" if told.outcome else "no receipt says that anything was changed by it"


def _how(told: Told) -> str:
    if told.outcome:
        return told.outcome
    return f"came to no end: {_one_line(told.closed)}" if told.closed else "is still open"


def _doors(told: Told) -> Iterator[str]:
    yield from (f"* Found: {_one_line(one)}" for one in told.found if one.partition(": ")[2] != told.why)
    yield from (f"* Steered: {_one_line(one)}" for one in told.steered)
    yield from (f"* Refused at {_one_line(one)}" for one in told.refused)


def _record(told: Told) -> str:
    lost = f", and {told.lost} that it had to let go" if told.lost else ""
    return f"* Records: {told.records}{lost}, run `{told.run}`, the last is `{short(told.head)}`"


def _approval(account: Account) -> Iterator[str]:
    if account.story is not Story.PROMOTION:
        return
    if account.urgency is Urgency.BREAK_GLASS:
        yield f"* **The glass was broken**: {_one_line(str(account.review or 'what was to be reviewed is gone'))}"
        past = account.review.broken.past if account.review else ()
        yield from (f"    * It went past a gate that was shut: {_one_line(one)}" for one in past)
        return
    if account.urgency is Urgency.HOTFIX:
        yield "* Let in as a hotfix, by the environment's shorter way"
    quorums = account.quorums
    if not quorums:
        yield "* Nobody had to approve"
        return
    yield f"* Had to be approved by {say_quorums(quorums)} ({_proof(signed=account.signed)})"
    yield from (f"    * {_decided(one)}" for one in account.decisions)


def _proof(*, signed: bool) -> str:
    return "each by their own signature" if signed else "by name: nobody had to sign"


def _decided(one: Vouched) -> str:
    when = f", {one.at:%Y-%m-%d %H:%M:%S} UTC" if one.at else ""
    return f"{one} said {one.verdict}{when}{f': {_one_line(one.comment)}' if one.comment else ''}"


def _one_line(text: str) -> str:
    """People's words come from anywhere: they make no heading and no list of their own."""
    return " ".join(text.split()).replace("`", "ʼ").replace("<", "‹").replace("[", "(").replace("]", ")")
