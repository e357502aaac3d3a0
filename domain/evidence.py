"""The evidence report: what an auditor reads, in Markdown, of one release or of a period."""

from collections.abc import Iterator
from typing import Final

from domain.approval import say_quorums
from domain.audit import Account, Audit, Vouched
from domain.terms import Story
from domain.urgency import Urgency
from domain.value import say_duration, short

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
    yield _summary(audit)
    if audit.findings:
        yield ""
        yield "## What does not hold"
        yield ""
        yield from (f"* {finding}" for finding in audit.findings)
    for account in audit.accounts:
        yield ""
        yield from _account(account)
    if audit.heads:
        yield ""
        yield "## The newest receipts"
        yield ""
        yield KEEP
        yield ""
        yield from (f"* {place}: `{head}`" for place, head in audit.heads.items())


def _summary(audit: Audit) -> str:
    count = len(audit.accounts)
    looked = f"{count} receipt{'' if count == 1 else 's'}"
    if not audit.findings:
        return f"{looked} looked at. Every seal and signature, and the chain of receipts, is good."
    return f"{looked} looked at. **{len(audit.findings)} of what they say does not hold.**"


def _account(account: Account) -> Iterator[str]:
    what = (
        account.version if account.story is Story.PROMOTION else f"{account.story} {account.version}".strip()
    )
    yield f"## {account.subject}: {what} {account.outcome}"
    yield ""
    took = say_duration(account.ended - account.began)
    yield f"* When: {account.began:%Y-%m-%d %H:%M:%S} UTC, for {took}, as turn {account.turn}"
    if account.release:
        yield f"* Release: `{account.release}`"
    yield f"* Asked for by {account.requester}{f': {_one_line(account.reason)}' if account.reason else ''}"
    yield from (f"* Gates overridden: {_one_line(str(one))}" for one in account.overridden)
    yield from _approval(account)
    if account.evidence:
        yield f"* Health: {_one_line('; '.join(account.evidence))}"
    if account.why:
        yield f"* Why: {_one_line(account.why)}"
    yield f"* Receipt: `{short(account.fingerprint)}`"


def _approval(account: Account) -> Iterator[str]:
    if account.story is not Story.PROMOTION:
        return
    if account.urgency is Urgency.BREAK_GLASS:
        yield f"* **The glass was broken**: {_one_line(str(account.review or 'what was to be reviewed is gone'))}"
        return
    if account.urgency is Urgency.HOTFIX:
        yield "* Let in as a hotfix, by the environment's shorter way"
    quorums = account.quorums
    if not quorums:
        yield "* Nobody had to approve"
        return
    how = "signed" if account.signed else "not signed"
    yield f"* Had to be approved by {say_quorums(quorums)} ({how})"
    yield from (f"    * {_decided(one)}" for one in account.decisions)


def _decided(one: Vouched) -> str:
    when = f", {one.at:%Y-%m-%d %H:%M:%S} UTC" if one.at else ""
    return f"{one} said {one.verdict}{when}{f': {_one_line(one.comment)}' if one.comment else ''}"


def _one_line(text: str) -> str:
    """People's words come from anywhere: they make no heading and no list of their own."""
    return " ".join(text.split()).replace("`", "ʼ").replace("<", "‹").replace("[", "(").replace("]", ")")
