"""Real OpenSSH, real keys: whose signature counts, for what, and when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.attempts import watched
from activities.proving import Proving
from activities.signers import OpenSshSigners
from clients.signing import Signer
from clients.trouble import UsageError
from domain.actor import Actor, Proof
from domain.approval import Decision, Verdict
from domain.attempt import Kind as Tried
from domain.names import Subject
from domain.release import Component, Kind, Release
from domain.signature import AHEAD, Signature
from domain.statement import Purpose, Statement, decision_statement, matter_of, why_altered
from domain.terms import Request
from tests.domain.strategies import digest
from tests.domain.test_clearance import PROPOSAL
from tests.fakes import ShiftedClock
from tests.people import People, needs_openssh, ssh_keygen

pytestmark = needs_openssh
BO, CY = "bo@example.com", "cy@example.com"
DECISION = Decision(
    actor=Actor(name=BO, proof=Proof.SSH_SIGNATURE),
    verdict=Verdict.APPROVE,
    intent=PROPOSAL.plan.intent,
    at=PROPOSAL.drawn_up,
    comment="ja, gut so: ✓",
)
REQUEST = Request(
    subject=Subject(service="shop", environment="production"), version="2.0", actor=Actor(name=BO)
)
STATEMENT = Statement(purpose=Purpose.DECISION, by=BO, text="{}\n")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


def signature_of(people: People, name: str, statement: Statement = STATEMENT, purpose: str = "") -> str:
    return ssh_keygen(
        "-Y",
        "sign",
        "-q",
        "-f",
        str(people.key(name)),
        "-n",
        purpose or statement.purpose,
        stdin=statement.text,
    )


async def why_not(folder: Path, signature: str, statement: Statement = STATEMENT) -> str:
    return await OpenSshSigners(folder).why_not(statement, signature, datetime(2026, 6, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("", ""),
        ('namespaces="decision@towpath"', ""),
        ('namespaces="release@towpath"', "may not sign"),
        ('valid-after="20260601115900Z",valid-before="20260601120100Z"', ""),
        ('valid-before="20260601115900Z"', "nobody's in allowed_signers, or is not valid"),
        ('valid-after="20260601120100Z"', "nobody's in allowed_signers, or is not valid"),
    ],
)
async def test_a_key_counts_for_what_and_when_its_line_says(
    people: People, tmp_path: Path, options: str, why: str
) -> None:
    """To the minute, in UTC, whatever the machine's own zone."""
    people.allow(tmp_path, {BO: BO}, options)
    said = await why_not(tmp_path, signature_of(people, BO))
    assert (why in said) if why else not said


async def test_whose_key_it_is_and_what_was_signed_is_said(people: People, tmp_path: Path) -> None:
    """Each way to be wrong has its own sentence, since each has another remedy."""
    assert "there is no allowed_signers" in await why_not(tmp_path, signature_of(people, BO))
    people.allow(tmp_path, {BO: BO, CY: CY})

    assert "the key of cy@example.com" in await why_not(tmp_path, signature_of(people, CY))
    assert "nobody's in allowed_signers" in await why_not(tmp_path, signature_of(people, "eve"))
    for wrong in ("", "\x00", "-----BEGIN SSH SIGNATURE-----\n", signature_of(people, BO, purpose="git")):
        assert "does not fit" in await why_not(tmp_path, wrong)
    changed = STATEMENT.but(text="{ }\n")
    assert "does not fit" in await why_not(tmp_path, signature_of(people, BO), changed)


async def test_a_revoked_key_has_never_signed_anything(people: People, tmp_path: Path) -> None:
    """Also what was signed before."""
    people.allow(tmp_path, {BO: BO})
    people.revoke(tmp_path, BO)

    with watched() as found:
        said = await why_not(tmp_path, signature_of(people, BO))

    assert said == "its key has been revoked, by revoked_keys"
    assert [one.kind for one in found] == [Tried.SIGNATURE]


@pytest.mark.parametrize(
    ("lost", "since"),
    [
        ("revoked", "has been revoked since, by revoked_keys"),
        ("ended", "has ended since, by allowed_signers"),
    ],
)
async def test_a_key_that_is_lost_after_it_signed_is_no_attempt(
    people: People, tmp_path: Path, lost: str, since: str
) -> None:
    """It counts no more, and says so; what comes under such a key is an attempt, as is what it never signed."""
    clock = ShiftedClock()
    now, proving = clock.now(), Proving(OpenSshSigners(tmp_path), clock)
    clock.offset = -timedelta(hours=1)
    signed = DECISION.but(signature=people.signer(BO, clock).sign_decision(PROPOSAL, DECISION))
    others = DECISION.but(signature=people.signer(CY, clock).sign_decision(PROPOSAL, DECISION))
    clock.offset = timedelta()
    assert signed.signature
    statement = decision_statement(matter_of(PROPOSAL), signed, signed.signature)
    until = f'valid-before="{now - timedelta(minutes=1):%Y%m%d%H%M%S}Z"' if lost == "ended" else ""
    people.allow(tmp_path, {BO: BO}, until)
    people.revoke(tmp_path, *([BO] if lost == "revoked" else []))

    with watched() as found:
        ((old, why),) = await proving.looked_at(matter_of(PROPOSAL), [signed])
        assert not found
        assert await proving.as_it_comes(statement, signed.signature)
        assert await proving.looked_at(matter_of(PROPOSAL), [others, signed.but(comment="changed")])

    assert why == f"it was good when it was given; its key {since}"
    assert old.actor.proof is Proof.NONE
    assert [one.kind for one in found] == [Tried.SIGNATURE] * 3


async def test_an_authority_vouches_for_its_people(people: People, tmp_path: Path) -> None:
    """Certificates: one line for everybody whom the authority has certified, each under their own name."""
    people.allow(tmp_path, {"*@example.com": "authority"}, "cert-authority")
    ssh_keygen(
        *("-q", "-s", str(people.key("authority")), "-I", "bo", "-n", BO),
        *("-V", "20260101:20270101", str(people.key(BO)) + ".pub"),
    )
    certified = ssh_keygen(
        *("-Y", "sign", "-q", "-f", f"{people.key(BO)}-cert.pub", "-n", STATEMENT.purpose),
        stdin=STATEMENT.text,
    )

    assert not await why_not(tmp_path, certified)
    assert await why_not(tmp_path, certified, STATEMENT.but(by=CY))
    people.key(BO).with_name(f"{BO}-cert.pub").unlink()


@pytest.mark.parametrize(
    ("authority", "options"),
    [
        ("another authority", ("-n", BO, "-V", "20260101:20270101")),
        ("authority", ("-n", BO, "-V", "20250101:20260101")),
        ("authority", ("-n", CY, "-V", "20260101:20270101")),
        ("authority", ("-n", "*@example.com", "-V", "20260101:20270101")),
        ("authority", ("-V", "20260101:20270101")),
        ("authority", ("-h", "-n", BO, "-V", "20260101:20270101")),
        ("bo@example.com", ("-n", BO, "-V", "20260101:20270101")),
    ],
)
async def test_no_other_certificate_vouches_for_anybody(
    people: People, tmp_path: Path, authority: str, options: tuple[str, ...]
) -> None:
    """Of another authority or their own, expired, another's, everybody's, nobody's, or a machine's."""
    people.allow(tmp_path, {"*@example.com": "authority"}, "cert-authority")
    public = f"{people.key(BO)}.pub"
    ssh_keygen("-q", "-s", str(people.key(authority)), "-I", "bo", *options, public)
    certificate = people.key(BO).with_name(f"{BO}-cert.pub")
    certified = ssh_keygen(
        *("-Y", "sign", "-q", "-f", str(certificate), "-n", STATEMENT.purpose), stdin=STATEMENT.text
    )
    certificate.unlink()

    assert await why_not(tmp_path, certified)


async def test_what_was_signed_for_one_purpose_is_good_for_no_other(people: People, tmp_path: Path) -> None:
    """Not even where the text is the same."""
    people.allow(tmp_path, {BO: BO})

    for purpose in Purpose:
        signature = signature_of(people, BO, STATEMENT.but(purpose=purpose))
        good = [one for one in Purpose if not await why_not(tmp_path, signature, STATEMENT.but(purpose=one))]
        assert good == [purpose]


async def test_who_writes_their_own_name_in_other_letters_is_refused_and_nobody_called(
    people: People, tmp_path: Path
) -> None:
    """It is a mistake as long as their key is good; with another's key, or a revoked one, it is none."""
    people.allow(tmp_path, {BO: BO, CY: CY})
    shouted = STATEMENT.but(by=BO.upper())

    with watched() as found:
        assert f"the key of {BO}, not with" in await why_not(
            tmp_path, signature_of(people, BO, shouted), shouted
        )
        assert not found
        assert await why_not(tmp_path, signature_of(people, CY, shouted), shouted)
        people.revoke(tmp_path, BO)
        assert await why_not(tmp_path, signature_of(people, BO, shouted), shouted)
    assert [one.kind for one in found] == [Tried.SIGNATURE] * 2


async def test_proofs_are_found_and_never_believed(people: People, tmp_path: Path) -> None:
    """A warrant that says “proven” of an unsigned decision is told what it is."""
    people.allow(tmp_path, {BO: BO})
    clock = ShiftedClock()
    signed = DECISION.but(signature=people.signer(BO, clock).sign_decision(PROPOSAL, DECISION))
    proving = Proving(OpenSshSigners(tmp_path), clock)

    found = await proving.decisions(
        matter_of(PROPOSAL), [DECISION, signed, signed.but(comment="ja, gut so: ✗")]
    )

    assert [one.actor.proof for one in found] == [Proof.NONE, Proof.SSH_SIGNATURE, Proof.NONE]


async def test_what_was_decided_on_an_earlier_plan_counts_for_nothing_and_nobody_is_called(
    people: People, tmp_path: Path
) -> None:
    """Whose plan was drawn up anew has been decided on before; one who signs for another plan tries something."""
    people.allow(tmp_path, {BO: BO})
    earlier = PROPOSAL.but(plan=PROPOSAL.plan.but(terms=digest("others")))
    before = DECISION.but(intent=earlier.plan.intent)
    before = before.but(signature=people.signer(BO).sign_decision(earlier, before))
    proving = Proving(OpenSshSigners(tmp_path), ShiftedClock())

    with watched() as found:
        (old,) = await proving.decisions(matter_of(PROPOSAL), [before])
        assert not found
        (posing,) = await proving.decisions(matter_of(PROPOSAL), [before.but(intent=PROPOSAL.plan.intent)])
    assert [one.kind for one in found] == [Tried.SIGNATURE]
    assert {old.actor.proof, posing.actor.proof} == {Proof.NONE}


async def test_a_signature_counts_from_when_it_was_made_until_it_ends(people: People, tmp_path: Path) -> None:
    """A decision until it expires; a request until its terms are drawn up."""
    people.allow(tmp_path, {BO: BO})
    clock = ShiftedClock()
    proving, signer = Proving(OpenSshSigners(tmp_path), clock), people.signer(BO, clock)
    request = signer.sign_request(REQUEST)
    signed = request.signature
    assert signed

    assert not await proving.request(request)
    clock.offset = signed.expires - signed.at + timedelta(minutes=1)
    assert "expired" in await proving.request(request)
    assert not await proving.request(request, drawn_up=signed.expires)
    clock.offset = -AHEAD - timedelta(minutes=1)
    assert "ahead of this worker's clock" in await proving.request(request)


async def test_a_release_is_its_authors(people: People, tmp_path: Path) -> None:
    """Everything in its manifest is signed; the key has to have been good when it was made."""
    people.allow(tmp_path, {BO: BO}, 'namespaces="release@towpath",valid-before="20260601"')
    made = Release(
        service="shop",
        version="2.0",
        components=(Component(name="site", kind=Kind.CONTENT, artifact=digest("site"), size=1),),
        author=BO,
        created=datetime(2026, 5, 1, tzinfo=UTC),
    )
    proving = Proving(OpenSshSigners(tmp_path), ShiftedClock())
    signed = made.but(signature=people.signer(BO).sign_release(made))
    late = made.but(created=datetime(2026, 6, 2, tzinfo=UTC))

    assert not await proving.release(signed)
    assert "is not signed" in await proving.release(made)
    for changes in ({"notes": "more"}, {"version": "2.1"}, {"author": CY}, {"components": ()}):
        assert await proving.release(signed.but(**changes)), changes
    assert "not valid at this time" in await proving.release(
        late.but(signature=people.signer(BO).sign_release(late))
    )


def test_a_statement_says_everything_that_it_is_about() -> None:
    """Whatever differs between two things to be signed differs in what is signed."""
    unsigned = Signature(at=PROPOSAL.drawn_up, expires=PROPOSAL.drawn_up, ssh="")
    texts = {
        decision_statement(matter_of(proposal), decision, unsigned).text
        for proposal in (
            PROPOSAL,
            PROPOSAL.but(plan=PROPOSAL.plan.but(version="3.0")),
            PROPOSAL.but(plan=PROPOSAL.plan.but(subject=Subject(service="shop", environment="staging"))),
            PROPOSAL.but(terms=PROPOSAL.terms.but(nonce="2")),
        )
        for decision in (DECISION, DECISION.but(verdict=Verdict.REJECT), DECISION.but(comment=""))
    }
    assert len(texts) == 4 * 3


def test_a_proposal_whose_digest_stands_for_something_else_is_not_to_be_signed() -> None:
    """Whoever shows one plan and has another one signed is found out before anything is."""
    whole = PROPOSAL.but(plan=PROPOSAL.plan.but(release=None))
    assert not why_altered(whole)
    assert "terms" in why_altered(whole.but(terms=whole.terms.but(nonce="other")))
    assert "release" in why_altered(PROPOSAL)


def test_a_key_that_cannot_sign_is_a_sentence(tmp_path: Path) -> None:
    """Not there, or not a key."""
    with pytest.raises(UsageError, match="There is no key"):
        Signer(tmp_path / "nothing").sign_request(REQUEST)
    (tmp_path / "key").write_text("not a key")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(UsageError, match="Nothing could be signed"):
        Signer(tmp_path / "key").sign_request(REQUEST)
