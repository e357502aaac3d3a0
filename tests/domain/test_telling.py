"""What the Temporal UI shows, and the commands that people paste from it."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from domain.actor import Actor, Proof
from domain.approval import Decision, Verdict
from domain.clearance import judge
from domain.gate import Freeze, Pin
from domain.hints import approve_commands, keyed, opening, temporal
from domain.markdown import literal
from domain.outcome import Phase
from domain.status import PromotionStatus
from domain.telling import say_of_plan, tell_asked, tell_promotion
from domain.terms import Proposal
from domain.value import digest_of, short
from tests.domain.strategies import NOON
from tests.domain.test_clearance import FACTS, PLACE, PROPOSAL, SUBJECT, WARRANT

KEY = "--key ~/.ssh/id_ed25519"
ID = "promotion/shop/production/2.0"
SIGNED = PROPOSAL.but(terms=PROPOSAL.terms.but(approval=PROPOSAL.terms.approval.but(signed=True)))
OLGA = Actor(name="olga")
SIGNED_BY_OLGA = OLGA.but(proof=Proof.SSH_SIGNATURE)
READER = MarkdownIt("gfm-like", {"linkify": False})


def shown(proposal: Proposal, reason: str = "", namespace: str = "default") -> str:
    status = PromotionStatus(
        subject=SUBJECT,
        version="2.0",
        phase=Phase.WAITING_FOR_APPROVAL,
        since=NOON,
        waits_for=reason,
        request=proposal.request,
        proposal=proposal,
        intent=proposal.plan.intent,
    )
    return tell_promotion(status, namespace)


@pytest.mark.parametrize("namespace", ["default", "prod"])
def test_a_temporal_command_goes_where_the_workflow_lives(namespace: str) -> None:
    """The usual namespace needs no naming."""
    there = "" if namespace == "default" else " -n prod"

    assert temporal("describe", ID, namespace) == f"temporal workflow describe{there} -w {ID}"
    assert f"temporal workflow signal{there} -w {ID} --name approve" in shown(PROPOSAL, namespace=namespace)


def test_where_decisions_are_signed_the_unsigned_way_is_not_shown() -> None:
    """What is pasted is what our own command prints, signed."""
    ours, theirs = approve_commands(ID, SIGNED, "default").splitlines()
    plain = approve_commands(ID, PROPOSAL, "default")

    assert ours.endswith(f"--by you@example.com {KEY}")
    assert theirs == f'temporal workflow signal -w {ID} --name approve --input "$({ours} --print)"'
    assert f"{ours} --print" in shown(SIGNED)
    assert '"by":"you@example.com"' not in shown(SIGNED)
    assert '"by":"you@example.com"' in shown(PROPOSAL)
    assert "--key" not in plain


def test_a_decision_on_a_plan_that_is_no_more_is_not_shown_as_one_on_the_plan_that_waits() -> None:
    """A revoked key, or a changed basis, has a new plan drawn up; who approved the old one has not approved it."""
    old = digest_of(b"the plan before")
    vote = Decision(actor=OLGA, verdict=Verdict.APPROVE, intent=old, at=NOON)
    status = PromotionStatus(
        subject=SUBJECT,
        version="2.0",
        phase=Phase.WAITING_FOR_APPROVAL,
        since=NOON,
        proposal=PROPOSAL,
        intent=PROPOSAL.plan.intent,
    )

    assert say_of_plan(vote, status) == f" of plan {short(old)}, which is no more"
    assert say_of_plan(vote.but(intent=PROPOSAL.plan.intent), status) == ""


def test_what_was_shut_by_a_signed_word_is_opened_by_a_signed_one() -> None:
    """And by an unsigned one where it was not signed."""
    freeze = Freeze(by=OLGA, reason="fair", since=NOON)
    pin = Pin(by=SIGNED_BY_OLGA, reason="fair", since=NOON)

    assert opening(freeze, "production", "shop") == "towpath thaw production"
    assert opening(freeze.but(by=SIGNED_BY_OLGA), "production", "shop") == f"towpath thaw production {KEY}"
    assert opening(pin, "production", "shop") == f"towpath unpin shop production {KEY}"
    assert keyed("towpath retry shop production", signed=False) == "towpath retry shop production"


@pytest.mark.parametrize("kind", [Freeze, Pin])
def test_what_only_the_worker_remembers_to_be_shut_has_its_remedy(kind: type[Freeze | Pin]) -> None:
    """Its workflow may be gone, and is born again; the word that opens is the same."""
    gate = kind(by=SIGNED_BY_OLGA, reason="fair", since=NOON)

    refusal = judge(WARRANT, PLACE, FACTS.but(shut=(gate,)))

    assert refusal
    assert refusal.remedy == opening(gate, "production", "shop")


@example("1 #")
@given(st.text("ab1 ._-+=#>*`[]()<!|~\\&;/:\n\"'", max_size=30))
def test_what_people_wrote_is_shown_as_it_stands_and_formats_nothing(text: str) -> None:
    """Wherever it stands: as a paragraph, behind something else, or in a list."""
    said = " ".join(text.split())

    for before in ("", "- olga: ", "### "):
        rendered = READER.render(f"{before}{literal(text)}")

        assert set(re.findall(r"</?(\w+)", rendered)) <= {"p", "ul", "li", "h3"}
        read = html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip()
        assert read.removeprefix("olga:").strip() == said


def test_a_reason_puts_no_link_into_what_is_shown() -> None:
    """Nor does a name."""
    evil = "[approve here](https://evil.example) <img src=x>\n# 2.0 of shop: promoted"
    asked = PROPOSAL.request.but(reason=evil, actor=Actor(name="[o](https://evil.example)"))

    told = tell_asked(asked.actor, evil) + "\n\n" + shown(PROPOSAL.but(request=asked), reason=evil)

    rendered = READER.render(told)
    assert "<a " not in rendered
    assert "<img" not in rendered
    assert rendered.count("<h") == 1
