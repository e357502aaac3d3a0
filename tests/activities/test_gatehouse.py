"""What an environment's worker makes of words: whose they are, whether they may, and what is shut by them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.archive import Archive
from activities.around import Engine, Nobody
from activities.gatehouse import Gatehouse
from activities.keyring import Keyring, make_key
from activities.logbook import Logbook
from activities.ports import BadSealError, Signers
from activities.signers import OpenSshSigners
from activities.tools import Tools
from domain.actor import Actor, Channel, Proof
from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.doors import FreezeWord, PinWord, Signal, UnpinWord, Word
from domain.gate import Freeze
from domain.names import Subject, change_id
from domain.roles import Door, Roles
from domain.saying import Saying, freezing, pinning, steering, thawing, unpinning
from domain.signature import WordSignature
from domain.statement import Statement
from domain.terms import Request, Story
from tests.fakes import FixedSettings, MemoryStore, ShiftedClock
from tests.people import People, needs_openssh

ANA, BO, EVE = "ana@example.com", "bo@example.com", "eve@example.com"
SUBJECT: Final = Subject(service="shop", environment="production")
CHANGE: Final = change_id(SUBJECT, 7)


class Everybody:
    """Signers of whom each is believed, but for those whose key was revoked."""

    def __init__(self, revoked: Sequence[str] = ()) -> None:
        self.revoked = revoked

    async def why_not(
        self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
    ) -> str:
        del now, given
        good = signature == f"of {statement.by}" and statement.by not in self.revoked
        return "" if good else "it is not theirs"


class House:
    """A gatehouse with a memory of its own."""

    def __init__(
        self,
        folder: Path,
        signers: Signers,
        roles: Roles | None = None,
        *,
        signed: bool = True,
        store: MemoryStore | None = None,
    ) -> None:
        keys = folder / "keys"
        file = EnvironmentFile(
            environment="production",
            key=make_key(keys, "production"),
            approval=Approval(signed=signed, quorum=0),
            roles=roles or Roles(),
        )
        self.settings = FixedSettings(Configuration(environments={"production": file}))
        self.store = store or MemoryStore()
        self.clock = ShiftedClock()
        self.tools = Tools(
            environment="production",
            settings=self.settings,
            store=self.store,
            seals=Keyring(keys, self.settings),
            signers=signers,
            clock=self.clock,
            target=_none,
            check=_none,
            cache=folder,
        )
        archive = Archive(self.store, self.tools.seals)
        self.logbook = Logbook(self.tools, archive)
        self.gatehouse = Gatehouse(self.tools, archive, Engine(), self.logbook)

    async def why(self, saying: Saying) -> str:
        return (await self.gatehouse.hear(saying)).why

    def remembered(self) -> list[str]:
        """Name the words about gates that the store holds, the oldest first."""
        return sorted(key for key in self.store.content if key.startswith("gate/"))

    async def frozen(self) -> bool:
        return (await self.gatehouse.shut(SUBJECT)).freeze is not None

    async def pinned(self) -> bool:
        return (await self.gatehouse.shut(SUBJECT)).pin is not None


def _none(*_: object) -> NoReturn:
    raise AssertionError


def stamped(saying: Saying, at: datetime, nonce: int, by: str = "") -> Saying:
    signed = WordSignature(
        at=at, expires=at + timedelta(hours=1), ssh=f"of {by or saying.by}", nonce=f"{nonce:032x}"
    )
    return saying.but(signed=signed)


def freeze(by: str = ANA, **more: object) -> Saying:
    return freezing("production", FreezeWord.model_validate({"by": by, "reason": "stop the line", **more}))


def thaw(by: str = ANA) -> Saying:
    return thawing("production", Word(by=by))


def pin(by: str = ANA) -> Saying:
    return pinning("production", PinWord(by=by, service="shop", reason="the sale"))


def unpin(by: str = ANA) -> Saying:
    return unpinning("production", UnpinWord(by=by, service="shop"))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8), st.randoms(use_true_random=False))
def test_the_latest_proven_word_holds_in_whatever_order_they_come(
    words: list[tuple[bool, bool]], chance: object
) -> None:
    """Whoever presents an older word again, or holds one back and presents it late, opens and shuts nothing by it."""
    now = datetime.now(UTC)
    said = [
        stamped(
            freeze() if shuts else thaw(), now - timedelta(minutes=len(words) - at), at, "" if good else EVE
        )
        for at, (shuts, good) in enumerate(words)
    ]
    latest = next((shuts for shuts, good in reversed(words) if good), False)
    shuffled = [*said, *said]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    async def tell() -> bool:
        house = House(Path(mkdtemp()), Everybody())
        for one in shuffled:
            await house.gatehouse.hear(one)
        return await house.frozen()

    assert asyncio.run(tell()) is latest


async def test_a_thaw_by_a_key_that_was_revoked_since_opens_nothing(tmp_path: Path) -> None:
    """What shuts stays shut even so: a key that was stolen may have opened, and a person may have left who froze."""
    signers, now = Everybody(), datetime.now(UTC)
    house = House(tmp_path, signers)
    await house.why(stamped(freeze(ANA), now - timedelta(minutes=2), 1))
    assert await house.why(stamped(thaw(BO), now, 2)) == ""
    assert not await house.frozen()

    signers.revoked = (ANA, BO)

    assert await house.frozen()


async def test_a_gate_opens_by_itself_counted_from_when_it_was_signed(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    house = House(tmp_path, Everybody())
    await house.why(stamped(freeze(lasts="30m"), now - timedelta(minutes=10), 1))

    gate = (await house.gatehouse.shut(SUBJECT)).freeze

    assert isinstance(gate, Freeze)
    assert gate.until == now + timedelta(minutes=20)


async def test_a_pin_is_of_one_service_and_no_freeze(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    house = House(tmp_path, Everybody())
    await house.why(stamped(pin(), now - timedelta(minutes=2), 1))

    assert (await house.pinned(), await house.frozen()) == (True, False)
    assert not (await house.gatehouse.shut(SUBJECT.but(service="mail"))).pin

    await house.why(stamped(unpin(), now, 2))
    assert not await house.pinned()


@pytest.mark.parametrize(
    "astray",
    [
        freeze().but(service="shop"),
        thaw().but(service="shop"),
        thaw().but(service="9"),
        pin().but(service=None),
        unpin().but(service=None),
        thaw().but(to=CHANGE),
        unpin().but(to="environment/staging"),
    ],
)
async def test_a_word_about_a_gate_is_said_of_what_has_that_gate(tmp_path: Path, astray: Saying) -> None:
    """One that names more or less would be remembered beside the gate, before whatever is said of it later."""
    house = House(tmp_path, Everybody())
    now = house.clock.now()

    why = await house.why(stamped(astray, now, 1))

    assert "is said of" in why
    assert not await house.why(stamped(freeze(), now + timedelta(seconds=1), 2))
    assert await house.frozen()


@pytest.mark.parametrize("meddle", ["moved", "altered", "cut"])
async def test_what_somebody_wrote_into_the_store_is_not_passed_over(tmp_path: Path, meddle: str) -> None:
    """A word that was moved to a later time, or altered, shuts everything until a person looks."""
    now = datetime.now(UTC)
    house = House(tmp_path, Everybody())
    await house.why(stamped(thaw(), now - timedelta(minutes=9), 1))
    await house.why(stamped(freeze(), now, 2))
    first, second = house.remembered()
    match meddle:
        case "moved":
            house.store.content[second.replace("/freeze/", "/freeze/9")] = house.store.content[first]
        case "altered":
            house.store.content[second] = house.store.content[second].replace(
                b"stop the line", b"stop the land"
            )
        case _:
            house.store.content[second] = b"{}"

    with pytest.raises(BadSealError):
        await house.frozen()


async def test_a_role_is_asked_for_and_its_rule_named(tmp_path: Path) -> None:
    """Where nothing is signed, names are claims, and the rule is all that is judged."""
    roles = Roles.model_validate({"freeze": {"people": [ANA]}, "operate": {"people": [BO]}})
    house = House(tmp_path, Everybody(), roles, signed=False)

    assert await house.why(freeze(EVE)) == (
        f"{EVE} may not freeze production: environments/production.yaml gives the role freeze to {ANA}"
    )
    assert "gives the role operate to" in await house.why(pin(ANA))
    assert await house.gatehouse.hear(freeze(ANA)) == await house.gatehouse.hear(pin(BO))
    assert not house.remembered(), "nothing proven is remembered where nothing is proven"
    rollback = Request(story=Story.ROLLBACK, subject=SUBJECT, actor=Actor(name=EVE))
    assert f"{EVE} may not roll back shop in production" in await house.gatehouse.admit(rollback)


async def test_whoever_has_the_environments_key_needs_no_other(tmp_path: Path) -> None:
    """A rollback without the engine, on the worker's own host, asks nobody; by way of the engine it is refused."""
    house = House(tmp_path, Everybody())
    rollback = Request(story=Story.ROLLBACK, subject=SUBJECT, actor=Actor(name=EVE, channel=Channel.OFFLINE))
    archive = Archive(house.store, house.tools.seals)

    offline = Gatehouse(house.tools, archive, Nobody(SUBJECT, 7), Logbook(house.tools, archive))
    assert await offline.admit(rollback) == ""
    assert "it is not signed" in await house.gatehouse.admit(rollback)


@needs_openssh
async def test_only_the_senders_own_signature_over_this_very_word_counts(tmp_path: Path) -> None:
    """Each forgery is refused in words; the real one counts, with real keys and the real ssh-keygen."""
    people = People(tmp_path / "people")
    people.allow(tmp_path, {ANA: ANA, BO: BO})
    house = House(tmp_path, OpenSshSigners(tmp_path))
    ours = steering(CHANGE, SUBJECT, Signal.SKIP, Word(by=ANA, comment="leave it"))
    signed = ours.but(signed=people.signer(ANA).sign_word(ours))
    assert signed.signed

    forged: list[tuple[Saying, str]] = [
        (ours, "only with their sender's own signature"),
        (ours.but(signed=people.signer(EVE).sign_word(ours)), "its key is nobody's"),
        (ours.but(signed=people.signer(BO).sign_word(ours)), f"signed with the key of {BO}"),
        (signed.but(by=BO), "does not fit"),
        (signed.but(text="leave all of it"), "does not fit"),
        (signed.but(to=change_id(SUBJECT, 8)), "does not fit"),
        (signed.but(door=Door.RETRY), "does not fit"),
        (signed.but(service="mail"), "does not fit"),
        (signed.but(signed=signed.signed.but(nonce="0" * 32)), "does not fit"),
        (
            signed.but(signed=signed.signed.but(expires=signed.signed.expires + timedelta(days=1))),
            "does not fit",
        ),
    ]
    for saying, why in forged:
        assert why in await house.why(saying), saying

    assert (await house.gatehouse.hear(signed)).proof is Proof.SSH_SIGNATURE
    house.clock.offset = timedelta(hours=2)
    assert "its signature expired" in await house.why(signed)


def _skips(people: People) -> list[tuple[Saying, str]]:
    def said(to: str, signal: Signal = Signal.SKIP, by: str = ANA) -> Saying:
        word = steering(to, SUBJECT, signal, Word(by=ANA))
        return word.but(signed=people.signer(by).sign_word(word))

    return [
        (said(change_id(SUBJECT, 8)), "was meant for change/shop/production/8"),
        (said(CHANGE, Signal.RETRY), "was meant for"),
        (said(CHANGE, by=BO), f"signed with the key of {BO}"),
    ]


@needs_openssh
async def test_what_is_left_undone_needs_somebodys_word_for_this_turn(tmp_path: Path) -> None:
    """Judged again at the effect, even hours after it was said; nobody's word, or another turn's, leaves nothing."""
    people = People(tmp_path / "people")
    people.allow(tmp_path, {ANA: ANA, BO: BO})
    house = House(tmp_path, OpenSshSigners(tmp_path))
    good = steering(CHANGE, SUBJECT, Signal.SKIP, Word(by=ANA))
    good = good.but(signed=people.signer(ANA).sign_word(good))

    assert await house.gatehouse.why_not_skipped(SUBJECT, 7, ()) == "nobody has said so"
    for word, why in _skips(people):
        assert why in await house.gatehouse.why_not_skipped(SUBJECT, 7, [word])
    house.clock.offset = timedelta(hours=5)
    assert await house.gatehouse.why_not_skipped(SUBJECT, 7, [good]) == ""
