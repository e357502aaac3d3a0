"""``towpath audit``: from a folder and its store, with no server anywhere."""

import asyncio
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from activities.archive import Archive
from activities.clock import SystemClock
from activities.keyring import Keyring, make_key
from activities.stores import open_store
from activities.trails import Trails
from domain.actor import Actor
from domain.audit import Audit
from domain.environment import Absent
from domain.journal import Receipt, Settled
from domain.logbook import Attempt, Doer, LogPage, Note, TidingsNote
from domain.names import Subject
from domain.outcome import Exit, Outcome
from domain.record import Chain, OutcomeRecord, OverrideRecord, RequestRecord
from domain.terms import Request, Story
from domain.trail import ENDED, Trail, tail
from domain.value import digest_of
from tests.clients.conftest import CommandLine
from tests.domain.strategies import NOON
from workers.settings import surroundings
from workers.wiring import settings_of

DEV = Subject(service="shop", environment="dev")


@pytest.fixture
async def sealed(offline: CommandLine) -> CommandLine:
    """A folder in whose store an adoption was sealed, twice."""
    folder = offline.folder
    (folder / "environments").mkdir()
    (folder / "towpath.yaml").write_text("store: store\n")
    key = make_key(folder / ".towpath/keys", "dev")
    (folder / "environments/dev.yaml").write_text(f"environment: dev\nkey: {key}\n")
    place = surroundings(folder, {})
    archive = Archive(open_store("store", folder), Keyring(place.keys, settings_of(place)))
    for turn in (1, 2):
        await archive.write_receipt(
            Receipt(
                subject=DEV,
                turn=turn,
                story=Story.ADOPTION,
                settled=Settled.DONE,
                outcome=Outcome.PROMOTED,
                before={"site": Absent()},
                after={"site": Absent()},
                actor=Actor(name="ana@example.com"),
                reason=f"adopted\n# {turn}",
                began=NOON,
                ended=NOON,
            )
        )
    return offline


async def test_what_is_whole_ends_with_0_and_what_is_not_with_10(sealed: CommandLine) -> None:
    """Text, JSON and report say the same; a receipt that is gone is named."""
    good = await sealed.type("audit", "verify")
    told = await sealed.type("audit", "verify", "--json")
    head = json.loads(told.out)["heads"]["shop in dev"]
    shown = await sealed.type("audit", "show", "--service", "shop")
    report = sealed.folder / "evidence.md"
    exported = await sealed.type("audit", "export", "--service", "shop", "--out", str(report))
    later = await sealed.type("audit", "show", "--since", "2030-01-01")
    noon = await sealed.type("audit", "show", "--until", f"{NOON:%Y-%m-%dT%H:%M}")
    store = sealed.folder / "store"
    (store / "receipt/shop/dev/1.json").unlink()
    bad = await sealed.type("audit", "verify")
    (store / "receipt/shop/dev/2.json").unlink()
    cut = await sealed.type("audit", "verify", "--head", head)
    nothing = await sealed.type("audit", "verify")

    assert (good.code, told.code, shown.code, exported.code) == (Exit.DONE,) * 4
    assert "2 receipts and the records of 0 promotions are good" in good.said
    assert head in good.err
    assert "Asked for by ana@example.com (claimed, not proven): adopted # 2" in shown.out
    assert report.read_text() == shown.out
    assert "adopted" not in later.out
    assert "Told of: from 2030-01-01 00:00 UTC, by when it ended, and what is still open." in later.out
    assert "Told of: shop in every environment." in shown.out
    assert shown.out.count("what stood there was adopted") == 2
    assert noon.out.count("what stood there was adopted") == 0
    assert (bad.code, cut.code, nothing.code) == (Exit.REFUSED, Exit.REFUSED, Exit.DONE)
    assert "the receipt before it" in bad.said
    assert "which was there once, is not there any more" in cut.said
    assert "there is no receipt, and no record" in nothing.said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("verify", "--head", "12345678"), "--head takes a receipt's or page's whole digest"),
        (("verify", "--service", "a/b"), "cannot be the name of a service"),
        (
            ("verify", "--service", "shop", "--environment", "prod"),
            "There is no service “shop”: nothing is kept of it",
        ),
        (("show", "--until", "soon"), "--until takes how long ago"),
        (("export", "--out", "nowhere/evidence.md"), "could not be written"),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(
    sealed: CommandLine, words: tuple[str, ...], why: str
) -> None:
    """Nothing is written."""
    ran = await sealed.type("audit", *words)

    assert ran.code == Exit.USAGE
    assert why in ran.said


async def keep_refused(sealed: CommandLine) -> str:
    """Keep what a promotion of 7.0 recorded that was refused, and return why it was."""
    place = surroundings(sealed.folder, {})
    store = open_store("store", sealed.folder)
    archive = Archive(store, Keyring(place.keys, settings_of(place)))
    asked = Request(subject=DEV, version="7.0", actor=Actor(name="ana@example.com"), reason="a try")
    chain = Chain().with_record(RequestRecord(at=NOON, request=asked))
    why = "7.0 is larger than is let in"
    chain = chain.with_record(OutcomeRecord(at=NOON, outcome=Outcome.REFUSED, why=why))
    trail = Trail(subject=DEV, version="7.0", run="run-1")
    await Trails(store, archive, SystemClock()).keep(trail, tail(chain, ENDED))
    return why


async def test_promotions_that_left_no_receipt_are_read_of_from_a_copied_folder(sealed: CommandLine) -> None:
    """By release and by period, as Markdown and as JSON after its schema; what is cut off ends with 10."""
    why = await keep_refused(sealed)

    good = await sealed.type("audit", "verify")
    shown = await sealed.type("audit", "show", "--release", "7.0")
    earlier = await sealed.type("audit", "show", "--until", "2020-01-01")
    told = await sealed.type("audit", "export", "--json")
    schema = await sealed.type("audit", "schema")
    head = json.loads(told.out)["ledgers"]["shop in dev"]
    kept = await sealed.type("audit", "verify", "--head", head)
    (sealed.folder / "store/record/shop/dev/7.0/run-1/0.json").unlink()
    bad = await sealed.type("audit", "verify")

    assert "the records of 1 promotions are good" in good.said
    assert "## shop in dev: 7.0 refused" in shown.out
    assert f"* Why: {why}" in shown.out
    assert "7.0" not in earlier.out
    assert Audit.model_validate_json(told.out).promotions[0].closed == ENDED
    assert set(json.loads(told.out)) == set(json.loads(schema.out)["properties"])
    assert (good.code, kept.code, bad.code) == (Exit.DONE, Exit.DONE, Exit.REFUSED)
    assert "the promotion of 7.0 of shop in dev: it was opened, and none of its records is there" in bad.said


async def test_what_an_auditor_takes_along_is_checked_where_nothing_else_is(
    sealed: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a machine that has neither the folder nor the store; and what is altered there is found."""
    (sealed.folder / "allowed_signers").write_text("ana@example.com ssh-ed25519 AAAA\n")
    (sealed.folder / "store/artifact").mkdir()
    (sealed.folder / "store/artifact/large.tar").write_text("large")
    elsewhere = tmp_path_factory.mktemp("auditor") / "evidence"
    before = await sealed.type("audit", "show")
    written = await sealed.type("audit", "export", "--bundle", str(elsewhere))
    again = await sealed.type("audit", "export", "--bundle", str(elsewhere))
    _empty(sealed.folder)
    sealed.set(TOWPATH_CONFIG=str(elsewhere))
    sums = await asyncio.create_subprocess_exec(
        "sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=elsewhere
    )
    good = await sealed.type("audit", "verify")
    shown = await sealed.type("audit", "show")
    receipt = elsewhere / "store/receipt/shop/dev/1.json"
    receipt.write_text(receipt.read_text().replace("adopted", "ad0pted"))
    bad = await sealed.type("audit", "verify")

    assert (written.code, again.code, await sums.wait(), good.code, bad.code) == (
        Exit.DONE,
        Exit.USAGE,
        0,
        Exit.DONE,
        Exit.REFUSED,
    )
    assert "2 receipts" in good.said
    assert digest_of((elsewhere / "SHA256SUMS").read_bytes()) in written.err
    assert before.out == shown.out == (elsewhere / "evidence.md").read_text()
    assert "is there already" in again.said
    assert not (elsewhere / "store/artifact").exists()
    assert (elsewhere / "allowed_signers").exists()


async def test_of_one_service_or_environment_no_others_are_taken_along(sealed: CommandLine) -> None:
    """Nor is it narrowed further: a chain with a gap proves nothing."""
    other, service = sealed.folder / "other", sealed.folder / "service"
    key = make_key(sealed.folder / ".towpath/keys", "other")
    (sealed.folder / "environments/other.yaml").write_text(f"environment: other\nkey: {key}\n")

    nothing = await sealed.type("audit", "export", "--bundle", str(other), "--environment", "other")
    whole = await sealed.type("audit", "export", "--bundle", str(service), "--service", "shop")
    unknown = await sealed.type("audit", "export", "--bundle", str(other), "--environment", "prod")
    narrowed = await sealed.type("audit", "export", "--bundle", str(other), "--release", "1.0")

    assert (nothing.code, whole.code, unknown.code, narrowed.code) == (Exit.DONE, Exit.DONE, 2, 2)
    assert not list(other.glob("store/receipt/**/*.json"))
    assert [file.name for file in (other / "environments").iterdir()] == ["other.yaml"]
    assert len(list(service.glob("store/receipt/**/*.json"))) == 2
    assert "nobody knows its key" in unknown.said
    assert "proves nothing" in narrowed.said


def _empty(folder: Path) -> None:
    for inside in folder.iterdir():
        if inside.is_dir():
            shutil.rmtree(inside)
        else:
            inside.unlink()


async def test_what_was_said_and_tried_is_in_the_report_of_its_period(sealed: CommandLine) -> None:
    """By service and by period, each with its page; what an attacker wrote makes no heading of its own."""
    place = surroundings(sealed.folder, {})
    archive = Archive(open_store("store", sealed.folder), Keyring(place.keys, settings_of(place)))
    froze = TidingsNote(
        of="environment/dev",
        record=OverrideRecord(at=NOON, actor=Actor(name="ana@example.com"), did="freeze", comment="the sale"),
        at=NOON + timedelta(hours=3),
    )
    tried = Attempt(
        at=NOON + timedelta(days=40),
        environment="dev",
        subject=DEV,
        what="a deed",
        by=Doer(workflow_id="evil/1"),
        claimed="bo\n# Evidence",
        why="it has no lane",
    )
    before: str | None = None
    notes: tuple[Note, ...] = (froze, tried)
    for number, note in enumerate(notes, start=1):
        page = LogPage(environment="dev", number=number, before=before, note=note, at=note.at)
        before = (await archive.write_page("dev", page)).digest

    good = await sealed.type("audit", "verify")
    shown = await sealed.type("audit", "show", "--service", "shop")
    first = await sealed.type("audit", "show", "--until", "2026-02-01")
    slip = await sealed.type("audit", "show", "--release", "7.0")
    await keep_refused(sealed)
    other = await sealed.type("audit", "show", "--release", "7.0")
    told = await sealed.type("audit", "export", "--json")
    (sealed.folder / "store/logbook/dev/2.json").unlink()
    cut = await sealed.type("audit", "verify", "--head", json.loads(told.out)["logbooks"]["dev"])
    (sealed.folder / "store/logbook/dev/1.json").write_text("{}")
    bad = await sealed.type("audit", "verify")

    assert "with 2 pages of logbooks, are good" in good.said
    assert "dev, logbook: sha256:" in good.err
    assert "## Gates, and what people said" in shown.out
    said = "ana@example.com (claimed, not proven) said freeze to environment/dev: the sale (page 1"
    assert f"{NOON:%H:%M:%S} UTC, dev: {said}" in shown.out
    assert "## Attempts that were refused" in shown.out
    assert (
        "a deed for shop in dev, by evil/1, in the name of bo # Evidence (claimed, not proven)" in shown.out
    )
    assert "ana@example.com (claimed, not proven) said freeze" in first.out
    assert "Attempts" not in first.out
    assert "logbooks" not in other.out.partition("## The newest")[0]
    assert (other.code, slip.code) == (Exit.DONE, Exit.USAGE)
    assert "Nothing is kept of a release “7.0” there." in slip.said
    assert [note.number for note in Audit.model_validate_json(told.out).notes] == [1, 2]
    assert (good.code, cut.code, bad.code) == (Exit.DONE, Exit.REFUSED, Exit.REFUSED)
    assert "which was there once, is not there any more" in cut.said
    assert "“logbook/dev/1.json” cannot be read: it was altered" in bad.said
