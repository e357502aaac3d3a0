"""Logbooks: what is whole is found whole, no page can be changed unnoticed, and each tells what it holds."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor, Proof
from domain.doors import FreezeWord, PinWord
from domain.gate import Quarantine
from domain.logbook import (
    LONGEST_TEXT,
    MOST_MET,
    Attempt,
    Doer,
    LogPage,
    Note,
    OverrideNote,
    QuarantineNote,
    TidingsNote,
    WordNote,
    is_about_a_gate,
    met,
    service_of,
    version_of,
)
from domain.logbook_audit import UNSIGNED, KeptLogPage, logbook_findings, note_findings, tell_page
from domain.logbook_telling import tell_note
from domain.names import Subject, quarantine_key
from domain.override import Override
from domain.record import OverrideRecord
from domain.saying import freezing, pinning, place_of
from domain.signature import Signature, WordSignature
from domain.urgency import Waivable
from tests.domain.strategies import NOON
from tests.domain.test_clearance import FACTS

ANA, BO = Actor(name="ana"), Actor(name="bo")
HOUR = timedelta(hours=1)
SIGNED = WordSignature(at=NOON, expires=NOON + HOUR, ssh="ana's", nonce="0" * 32)
FREEZE = WordNote(
    saying=freezing("production", FreezeWord(by="ana", reason="the sale", lasts=HOUR)).but(signed=SIGNED),
    proof=Proof.SSH_SIGNATURE,
    at=NOON,
)
PIN = WordNote(saying=pinning("production", PinWord(by="bo", service="shop", reason="slow")), at=NOON)
THAWED = TidingsNote(
    of="environment/production", record=OverrideRecord(at=NOON, actor=BO, did="thaw", comment=""), at=NOON
)
HELD = TidingsNote(
    of="change/shop/production/7",
    record=OverrideRecord(at=NOON, actor=BO, did="hold", comment="look"),
    at=NOON,
)
LET_PAST = OverrideNote(
    override=Override(
        by=ANA.but(proof=Proof.SSH_SIGNATURE),
        service="shop",
        version="1.4",
        gates=(Waivable.FREEZES,),
        reason="a leak",
        since=NOON,
        lasts=HOUR,
        signature=Signature(at=NOON, expires=NOON + HOUR, ssh="ana's"),
    ),
    at=NOON,
)
BANNED = QuarantineNote(
    quarantine=Quarantine(service="shop", version="1.3", number=1, by=BO, reason="it leaks", at=NOON), at=NOON
)
FORGED = Attempt(
    at=NOON,
    environment="production",
    subject=Subject(service="shop", environment="production"),
    what="deed 7",
    by=Doer(workflow_id="evil/1", run="0123456789ab"),
    claimed="ana",
    why="why",
    times=3,
)
NOTES: tuple[Note, ...] = (FREEZE, PIN, THAWED, HELD, LET_PAST, BANNED, FORGED)
histories = st.lists(st.sampled_from(NOTES), min_size=1, max_size=8)


def written(notes: Sequence[Note]) -> list[KeptLogPage]:
    pages: list[KeptLogPage] = []
    for number, note in enumerate(notes, start=1):
        before = pages[-1].digest if pages else None
        page = LogPage(environment="production", number=number, before=before, note=note, at=NOON)
        pages.append(KeptLogPage(page, page.digest()))
    return pages


def what_is_wrong(pages: Sequence[KeptLogPage]) -> list[str]:
    return [str(finding) for finding in logbook_findings("production", pages)]


@given(notes=histories)
def test_what_is_whole_is_found_whole_and_is_read_as_it_was_written(notes: list[Note]) -> None:
    pages = written(notes)

    assert what_is_wrong(pages) == []
    assert [LogPage.model_validate_json(one.page.canonical()) for one in pages] == [one.page for one in pages]


@given(
    notes=histories,
    at=st.integers(0, 7),
    to=st.integers(0, 7),
    how=st.sampled_from(["edit", "remove", "swap", "insert"]),
)
def test_no_page_is_edited_taken_out_moved_or_put_in_unnoticed(
    notes: list[Note], at: int, to: int, how: str
) -> None:
    """At every place but behind the newest: what was done there only a receipt tells, or a digest kept elsewhere."""
    pages = written([*notes, FREEZE])
    last = len(pages) - 1
    at, to = at % last, to % last
    match how:
        case "edit":
            page = pages[at].page.but(at=NOON + HOUR)
            pages[at] = KeptLogPage(page, page.digest())
        case "remove":
            del pages[at]
        case "swap":
            pages[at], pages[last] = pages[last], pages[at]
        case _:
            pages.insert(to, pages[at])

    assert what_is_wrong(pages)


SENTENCES = (
    "ana said freeze to environment/production for 1h: the sale",
    "bo said pin to environment/production of shop: slow",
    "bo (claimed, not proven) said thaw to environment/production",
    "bo (claimed, not proven) said hold to change/shop/production/7: look",
    "a deed met an override: 1.4 of shop is let past freezes by ana until 2026-01-05 13:00 UTC: a leak",
    "a promotion met 1.3 of shop, put into quarantine by bo (claimed, not proven) at 2026-01-05 12:00 UTC: it leaks",
    "deed 7 for shop in production, by evil/1 (run 01234567), in the name of ana (claimed, not proven) (3 times): why",
)


@pytest.mark.parametrize(("note", "sentence"), [*zip(NOTES, SENTENCES, strict=True)], ids=SENTENCES)
def test_each_note_tells_a_sentence_with_its_person_and_why(note: Note, sentence: str) -> None:
    (one,) = written([note])

    assert tell_note(tell_page(one, "")) == sentence
    assert "(claimed, not proven)" in tell_note(tell_page(one, UNSIGNED))


def test_a_word_that_was_proven_and_is_not_any_more_is_found() -> None:
    """So is one that the store's memory of gates does not have, and a quarantine that it tells otherwise."""
    freeze, past, banned, tidings, forged = (
        tell_page(one, "") for one in written([FREEZE, LET_PAST, BANNED, THAWED, FORGED])
    )
    gates, record = [place_of(FREEZE.saying)], BANNED.quarantine
    key = quarantine_key("shop", "1.3", 1)

    assert not [*note_findings(freeze, gates, {})]
    assert not [*note_findings(past, (), {}), *note_findings(tidings, (), {}), *note_findings(forged, (), {})]
    assert not [*note_findings(banned, (), {key: record})]

    def whys(*findings: object) -> str:
        return "\n".join(map(str, findings))

    revoked = freeze.but(by=freeze.by and freeze.by.but(unproven="its key was revoked"))
    assert "nothing proves that ana said freeze: its key was revoked" in whys(
        *note_findings(revoked, gates, {})
    )
    assert "what is remembered of gates does not say so" in whys(*note_findings(freeze, (), {}))
    others = past.but(by=past.by and past.by.but(unproven="its key is nobody's"))
    assert "nothing proves that ana overrode gates" in whys(*note_findings(others, (), {}))
    for other in ({}, {key: record.but(lifted=True)}):
        assert "says something else than a promotion met" in whys(*note_findings(banned, (), other))


def test_two_notes_are_one_where_they_tell_of_the_same() -> None:
    """Whoever hears a word twice, or meets an override at every deed, notes it once; each attempt is its own."""
    later = NOON + HOUR

    for note in (FREEZE, THAWED, LET_PAST, BANNED):
        assert note.same_as
        assert note.but(at=later).same_as == note.same_as
    assert LET_PAST.but(override=LET_PAST.override.but(by=ANA)).same_as == LET_PAST.same_as
    assert PIN.same_as == FORGED.same_as == ""
    assert PIN.but(occasion="run/7").same_as != PIN.but(occasion="run/8").same_as
    assert len({note.same_as for note in (FREEZE, THAWED, HELD, LET_PAST, BANNED)}) == 5


def test_a_flood_of_claims_makes_no_deed_wait_for_long() -> None:
    """The newest are noted; and what an attacker writes at length is cut."""
    record = OverrideRecord(at=NOON, actor=BO, did="freeze")
    facts = FACTS.but(
        tidings=tuple(record.but(comment=str(number)) for number in range(500)),
        overrides=(LET_PAST.override,) * 500,
    )

    notes = met(facts)

    assert len(notes) == 2 * MOST_MET
    assert isinstance(newest := notes[MOST_MET - 1], TidingsNote)
    assert newest.record.comment == "499"
    assert len(Attempt.model_validate({**FORGED.model_dump(), "claimed": "x" * 9999}).claimed) == LONGEST_TEXT


def test_a_note_is_about_a_service_a_release_or_all() -> None:
    assert [service_of(note) for note in NOTES] == ["", "shop", "", "shop", "shop", "shop", "shop"]
    pinned = THAWED.but(record=THAWED.record.but(did="unpin mail"))
    assert service_of(pinned) == "mail"
    assert [version_of(note) for note in NOTES] == ["", "", "", "", "1.4", "1.3", ""]
    assert is_about_a_gate(THAWED.record)
    assert not is_about_a_gate(HELD.record)
