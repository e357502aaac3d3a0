from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.releases import ReleaseRefusedError, create_release, fetch_artifact, list_releases
from activities.retention import prune_releases
from domain.actor import Actor, Channel
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.image import Image
from domain.journal import Capture, Entry, Receipt, Settled
from domain.names import Subject, artifact_key, journal_key, receipt_key
from domain.outcome import Outcome
from domain.plan import Deed, Step, Undo, Verb
from domain.release import Kind, Release
from domain.terms import Sealed, Story, TargetTerms
from domain.value import Value
from tests.activities.trees import File, grow
from tests.fakes import MemoryStore

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEV = Subject(service="shop", environment="dev")
PRODUCTION = Subject(service="shop", environment="production")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def made(store: MemoryStore, folder: Path, *versions: str, service: str = "shop") -> list[Release]:
    """Make releases, an hour apart, each of content of its own."""
    releases: list[Release] = []
    for hour, version in enumerate(versions):
        site = grow(folder / version, {"index.html": File(version.encode())})
        now = NOW + timedelta(hours=hour)
        stored = await create_release(store, service, version, {"site": (Kind.CONTENT, site)}, now=now)
        releases.append(stored.release)
    return releases


def placed(release: Release) -> Placement:
    return Placement(
        version=release.version, release=release.digest(), artifact=release.components[0].artifact
    )


async def receipt(
    store: MemoryStore,
    turn: int,
    before: Holding,
    after: Holding,
    subject: Subject = DEV,
    **more: object,
) -> None:
    paper = Receipt.model_validate(
        {
            "subject": subject,
            "turn": turn,
            "story": Story.PROMOTION,
            "settled": Settled.DONE,
            "outcome": Outcome.PROMOTED,
            "before": {"site": before},
            "after": {"site": after},
            "actor": Actor(name="ana", channel=Channel.UPDATE),
            "began": NOW,
            "ended": NOW,
            **more,
        }
    )
    await store.create(receipt_key(subject, turn), sealed(paper))


def sealed(paper: Value) -> bytes:
    body = paper.canonical()
    return Sealed(kind="receipt", environment="dev", key="k", body=body, signature="s").canonical().encode()


async def versions(store: MemoryStore) -> list[str]:
    return [release.version for release in await list_releases(store, "shop")]


async def test_what_was_never_let_in_goes(store: MemoryStore, tmp_path: Path) -> None:
    """The newest stay, as many as asked for; older ones go with their artifacts."""
    one, two, *_ = await made(store, tmp_path, "1", "2", "3", "4")

    pruned = await prune_releases(store, "shop", 2)

    assert [release.version for release in pruned.releases] == ["1", "2"]
    assert await versions(store) == ["3", "4"]
    for gone in (one, two):
        with pytest.raises(ReleaseRefusedError, match="is not in the release store"):
            await fetch_artifact(store, gone.components[0].artifact, tmp_path / "cache")
    assert len(await store.list("artifact")) == 2


async def test_dry_run_removes_nothing(store: MemoryStore, tmp_path: Path) -> None:
    """A dry run says what a run would do, and does not do it."""
    await made(store, tmp_path, "1", "2")
    before = dict(store.content)

    said = await prune_releases(store, "shop", 1, dry_run=True)

    assert store.content == before
    assert await prune_releases(store, "shop", 1) == said


async def test_what_is_held_anywhere_stays(store: MemoryStore, tmp_path: Path) -> None:
    """What any environment holds stays, and what it held before that, however old they are."""
    one, two, three, *_ = await made(store, tmp_path, "1", "2", "3", "4", "5")
    await receipt(store, 1, Absent(), placed(two))
    await receipt(store, 7, placed(one), placed(three), PRODUCTION, story=Story.ROLLBACK)

    await prune_releases(store, "shop", 0)

    assert await versions(store) == ["1", "2", "3"]
    assert len(await store.list("artifact")) == 3


async def test_what_can_be_rolled_back_to_stays(store: MemoryStore, tmp_path: Path) -> None:
    """Rollbacks may go back one change after another: all that they would put back stays."""
    one, two, three, *_ = await made(store, tmp_path, "1", "2", "3", "4")
    await receipt(store, 1, placed(one), placed(two))
    await receipt(store, 2, placed(two), placed(three))
    await receipt(store, 3, placed(three), placed(three))

    await prune_releases(store, "shop", 0)

    assert await versions(store) == ["1", "2", "3"]


async def test_what_any_receipt_names_stays(store: MemoryStore, tmp_path: Path) -> None:
    """A release that was let in, and taken back long ago, stays as long as the proof that it ran."""
    one, two, *_ = await made(store, tmp_path, "1", "2", "3", "4")
    await receipt(store, 1, Absent(), placed(one))
    await receipt(store, 2, placed(one), placed(two))
    await receipt(store, 3, placed(two), placed(one), story=Story.ROLLBACK, of=2)
    await receipt(store, 4, placed(one), placed(one), story=Story.ROLLBACK)

    pruned = await prune_releases(store, "shop", 0)

    assert await versions(store) == ["1", "2"]
    assert len(pruned.artifacts) == 2
    assert len(await store.list("artifact")) == 2


async def test_what_was_tried_and_undone_stays(store: MemoryStore, tmp_path: Path) -> None:
    """Of a change that failed, its receipt names in its deeds alone what was to stand there: that stays too."""
    one, two, _ = await made(store, tmp_path, "1", "2", "3")
    deed = Deed(step=step(placed(one), placed(two)), fence=Fence(turn=5, act=1))
    await receipt(store, 5, placed(one), placed(one), settled=Settled.UNDONE, deeds=(deed,))

    await prune_releases(store, "shop", 0)

    assert await versions(store) == ["1", "2"]


async def test_image_that_goes_takes_no_artifact(store: MemoryStore, tmp_path: Path) -> None:
    """An image is not in the store, so that none of it is removed."""
    image = Image("registry.example", "shop/web", f"sha256:{'a' * 64}")
    await create_release(store, "shop", "0", {"web": (Kind.APPLICATION, image)}, now=NOW)
    await made(store, tmp_path, "1")

    pruned = await prune_releases(store, "shop", 1)

    assert [release.version for release in pruned.releases] == ["0"]
    assert pruned.artifacts == ()


def step(before: Holding, after: Holding) -> Step:
    return Step(
        component="site",
        target="directory",
        verb=Verb.PLACE,
        before=before,
        after=after,
        undo=Undo.RESTORE,
        fenced=True,
        repeatable=True,
    )


async def test_open_account_keeps_what_it_names(store: MemoryStore, tmp_path: Path) -> None:
    """A change that is under way, or ended without a receipt, may need what it puts there and what it found."""
    one, two, _ = await made(store, tmp_path, "1", "2", "3")
    entry = Entry(
        subject=DEV,
        fence=Fence(turn=5, act=1),
        step=step(placed(one), placed(two)),
        steps=1,
        target=TargetTerms(target="directory"),
        capture=Capture(holding=placed(one)),
        at=NOW,
    )
    await store.create(journal_key(DEV, 5, 1), sealed(entry))

    await prune_releases(store, "shop", 0)

    assert await versions(store) == ["1", "2"]


async def test_shared_artifact_stays(store: MemoryStore, tmp_path: Path) -> None:
    """Content that a kept release has too, be it another service's, stays."""
    one, two = await made(store, tmp_path, "1", "2")
    for service, version, of in (("shop", "3", "1"), ("blog", "9", "2")):
        site = {"site": (Kind.CONTENT, tmp_path / of)}
        await create_release(store, service, version, site, now=NOW + timedelta(days=1))

    pruned = await prune_releases(store, "shop", 1)

    assert await versions(store) == ["3"]
    assert pruned.artifacts == ()
    for kept in (one, two):
        assert artifact_key(kept.components[0].artifact) in store.content


async def test_paper_that_cannot_be_read_stops_it(store: MemoryStore, tmp_path: Path) -> None:
    """Where a receipt is damaged nobody knows what it needs: nothing is removed, and the key is named."""
    await made(store, tmp_path, "1", "2")
    await store.create(receipt_key(DEV, 1), b"{}")
    before = dict(store.content)

    with pytest.raises(ReleaseRefusedError, match=r"“receipt/shop/dev/1\.json” in the store cannot be read"):
        await prune_releases(store, "shop", 0)

    assert store.content == before
