"""A real Terraform with the provider that is built in: what is approved is applied, and a kill loses nothing."""

import asyncio
import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from pydantic import JsonValue, ValidationError

from activities.ports import Place, TargetRefusalError, TargetTroubleError
from activities.targets.terraform import TerraformTarget
from activities.terraform.locks import StateLock
from domain.environment import Absent, Unknown, same
from domain.fence import Fence
from domain.value import digest_of
from tests.activities.artifacts import COMPONENT, SUBJECT, Artifact, deed, site
from tests.activities.infrastructure import StateServer, at_hand, contents, in_state, own_copy
from tests.activities.object_server import BUCKET, let_in

Make = Callable[..., TerraformTarget]
SLOWLY: Final = """
resource "terraform_data" "slow" {{
  input = "made"
  provisioner "local-exec" {{
    command = "echo made >> {folder}/log; until test -e {folder}/go; do sleep 0.05; done"
  }}
}}
"""
"""A resource that is not made before there is a file ``go``, and that counts its making."""
HTTP: Final = 'terraform {\n  backend "http" {}\n}\n'
S3: Final = """
terraform {
  backend "s3" {
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_region_validation      = true
    skip_metadata_api_check     = true
  }
}
"""
OURS: Final = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
WORKER: Final = """
import asyncio, sys
from pathlib import Path
from tests.activities.artifacts import deed
from tests.activities.test_terraform import SLOWLY, release, target_in
folder = Path(sys.argv[1])
new = release(folder, "1.0.0", SLOWLY.format(folder=folder))
asyncio.run(target_in(folder).place(deed(1, 1, new)))
"""


@pytest.fixture(autouse=True)
def _terraform(monkeypatch: pytest.MonkeyPatch) -> None:
    at_hand(monkeypatch)


def target_in(place: Path, /, **settings: JsonValue) -> TerraformTarget:
    return TerraformTarget({"root": "live", **settings}, Place(place, SUBJECT, COMPONENT))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(**settings: JsonValue) -> TerraformTarget:
        return target_in(tmp_path, **settings)

    return make


@pytest.fixture
def states() -> Iterator[StateServer]:
    server = StateServer()
    yield server
    server.stop()


def release(folder: Path, version: str, more: str = "") -> Artifact:
    return site(folder, version, contents(version, more))


async def begun(folder: Path) -> None:
    """Wait until the slow resource is being made."""
    while not (folder / "log").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)


def kill(folder: Path, verb: str) -> None:
    """Kill, at once, the Terraform that works below a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, where = (process / "cmdline").read_bytes().split(b"\0"), str((process / "cwd").readlink())
        except OSError:
            continue
        if (
            words[0].endswith(b"terraform")
            and words[1:2] == [verb.encode()]
            and where.startswith(str(folder))
        ):
            os.kill(int(process.name), signal.SIGKILL)


async def test_what_was_approved_is_applied_and_nothing_else(make: Make, tmp_path: Path) -> None:
    """The actions that a preview says are compared right before they are done; another set touches nothing."""
    new = release(tmp_path, "1.0.0")

    preview = await make().preview(deed(0, 0, new))
    with pytest.raises(
        TargetRefusalError, match=r"other actions than were approved: create terraform_data\.site"
    ):
        await make().place(deed(1, 1, new)._replace(promised=digest_of(b"create something.else")))
    untouched = await make().observe()
    await make().place(deed(2, 1, new)._replace(promised=digest_of(preview.actions.encode())))

    assert preview.actions == "create terraform_data.site"
    assert '+ input  = "1.0.0"' in preview.diff
    assert untouched.capture.holding == Absent()
    assert in_state(tmp_path / "live") == {"terraform_data.site": "1.0.0"}


async def test_nothing_is_destroyed_unless_that_is_allowed(make: Make, tmp_path: Path) -> None:
    """A release without a resource that stands is refused when its plan is drawn up, and when it is placed."""
    more = 'resource "terraform_data" "store" {\n  input = "precious"\n}\n'
    await make().place(deed(1, 1, release(tmp_path, "1.0.0", more)))
    without = release(tmp_path, "2.0.0")

    for asked in (make().preview(deed(0, 0, without)), make().place(deed(2, 1, without))):
        with pytest.raises(
            TargetRefusalError, match=r"would delete terraform_data\.store, which the target forbids"
        ):
            await asked
    stood = in_state(tmp_path / "live")
    allowed = await make(forbid=[]).preview(deed(0, 0, without))

    assert stood == {"terraform_data.site": "1.0.0", "terraform_data.store": "precious"}
    assert allowed.actions == "update terraform_data.site, delete terraform_data.store"


async def test_what_was_changed_beside_it_is_seen_and_an_undo_puts_the_release_back(
    make: Make, tmp_path: Path
) -> None:
    """Drift makes a holding unknown, and says in what; what stood is put back all the same."""
    old = release(tmp_path, "1.0.0")
    await make().place(deed(1, 1, old))
    state = tmp_path / "live/terraform.tfstate"
    state.write_text(state.read_text().replace("1.0.0", "by-hand"))

    seen = await make().observe()
    await make().place(deed(2, 1, release(tmp_path, "2.0.0")))
    await make().restore(deed(2, 2, capture=seen.capture))

    assert isinstance(seen.capture.holding, Unknown)
    assert seen.capture.holding.why.endswith("is no longer what there is: update terraform_data.site")
    assert in_state(tmp_path / "live") == {"terraform_data.site": "1.0.0"}
    assert same((await make().observe()).capture.holding, old.placement)


async def test_a_kill_in_the_middle_is_gone_on_from(
    make: Make, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock on the state is taken away, since it is ours and its holder is dead; what was left undone is done."""
    let_in(monkeypatch, s3)
    new = release(tmp_path, "1.0.0", S3 + SLOWLY.format(folder=tmp_path))
    program = own_copy(tmp_path)  # what other tests run at the same time is not its lock's holder
    target = make(
        program=program,
        backend_config={"endpoints": f'{{s3="{s3}"}}', "bucket": BUCKET, "key": tmp_path.name},
    )

    placing = asyncio.create_task(target.place(deed(1, 1, new)))
    await begun(tmp_path)
    kill(tmp_path, "apply")
    with pytest.raises(TargetTroubleError):
        await placing
    between = await target.observe()
    (tmp_path / "go").touch()
    said: list[str] = []
    await target.place(deed(1, 1, new, said=said.append))

    assert isinstance(between.capture.holding, Unknown)
    assert "was begun" in between.capture.holding.why
    assert any("still locked by a run of ours that was killed" in line for line in said)
    assert same((await target.observe()).capture.holding, new.placement)


async def test_a_lock_of_somebody_else_is_left_alone(make: Make, tmp_path: Path, states: StateServer) -> None:
    """Whoever works on the state is waited for, whatever became of our own runs before."""
    new = release(tmp_path, "1.0.0", HTTP)
    states.lock = {"ID": "5a1e", "Who": "ada@desk", "Created": "2099-01-01T00:00:00Z", "Operation": "Plan"}

    for _ in range(2):
        with pytest.raises(TargetTroubleError, match="The state is locked: 5a1e of somebody"):
            await make(backend_config=states.settings).place(deed(1, 1, new))

    assert states.lock["ID"] == "5a1e"


@pytest.mark.parametrize(
    ("who", "created", "program", "is_left"),
    [
        (OURS, 150, "/nowhere/terraform", True),
        ("ada@desk", 150, "/nowhere/terraform", False),
        (OURS, 50, "/nowhere/terraform", False),
        (OURS, 250, "/nowhere/terraform", False),
        (OURS, 150, sys.executable, False),
    ],
    ids=["ours", "somebody's", "before our run", "after it", "whose program runs"],
)
def test_a_lock_is_left_behind_only_where_everything_says_so(
    who: str, created: int, program: str, *, is_left: bool
) -> None:
    """Ours, of the time of the run that died, and no such program runs here."""
    lock = StateLock("5a1e", who, f"{datetime.fromtimestamp(created, UTC):%Y-%m-%d %H:%M:%S}.5 +0000 UTC")

    assert lock.is_left_behind(100, 200, program) is is_left


async def test_what_a_killed_worker_has_started_is_waited_for(make: Make, tmp_path: Path) -> None:
    """Its Terraform goes on, and holds our lock: nobody comes between, and nothing is made twice."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(tmp_path))
    await begun(tmp_path)
    worker.kill()
    await worker.wait()
    new = release(tmp_path, "1.0.0", SLOWLY.format(folder=tmp_path))

    placing = asyncio.create_task(make().place(deed(1, 1, new)))
    done, _ = await asyncio.wait([placing], timeout=0.3)
    (tmp_path / "go").touch()
    await placing

    assert not done
    assert (tmp_path / "log").read_text() == "made\n"
    assert in_state(tmp_path / "live") == {"terraform_data.site": "1.0.0", "terraform_data.slow": "made"}


async def test_an_apply_that_fails_half_way_is_undone(make: Make, tmp_path: Path) -> None:
    """What was made until then is taken away again: nothing stood there before."""
    broken = 'resource "terraform_data" "sick" {\n  depends_on = [terraform_data.site]\n'
    broken += '  provisioner "local-exec" {\n    command = "exit 3"\n  }\n}\n'
    nothing = (await make().observe()).capture

    with pytest.raises(TargetRefusalError, match="stopped half-way: local-exec provisioner error"):
        await make().place(deed(1, 1, release(tmp_path, "1.0.0", broken)))
    await make().restore(deed(1, 2, capture=nothing))

    seen = await make().observe()
    assert (seen.capture.holding, seen.fence) == (Absent(), Fence(turn=1, act=2))
    assert in_state(tmp_path / "live") == {}


async def test_a_secret_reaches_terraform_and_nobody_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is masked in what is printed and in a preview, and no plan stays behind; the state is the owner's to keep."""
    monkeypatch.setenv("SHOP_DB", "hunter22")
    uses = 'variable "db" {}\nvariable "size" {}\nresource "terraform_data" "db" {\n  input = "${var.db}/${var.size}"\n'
    uses += '  provisioner "local-exec" {\n    command = "echo it is ${var.db}"\n  }\n}\n'
    new, said = release(tmp_path, "1.0.0", uses), list[str]()
    target = make(secrets={"db": "SHOP_DB"}, variables={"size": 3}, workspace="blue")

    preview = await target.preview(deed(0, 0, new))
    await target.place(deed(1, 1, new, said=said.append))

    assert "hunter22" not in preview.diff
    assert '"•••/3"' in preview.diff
    assert any(line.endswith("it is •••") for line in said)
    assert not any("hunter22" in line for line in said)
    holding_it = {
        file.name
        for file in (tmp_path / "live").rglob("*")
        if file.is_file() and b"hunter22" in file.read_bytes()
    }
    assert holding_it == {"terraform.tfstate"}


async def test_what_others_have_made_is_taken_over_only_where_that_is_wanted(
    make: Make, tmp_path: Path, states: StateServer
) -> None:
    """And is not destroyed by the undo of the first deed, since nobody here knows what it was."""
    new = release(tmp_path, "1.0.0", HTTP)
    settings = {"backend_config": states.settings}
    await target_in(tmp_path, **settings, root="others").place(deed(1, 1, release(tmp_path, "0.9.0", HTTP)))
    nothing = (await make(**settings).observe()).capture

    with pytest.raises(
        TargetRefusalError, match=r"not applied from .*live: terraform_data\.site\. Write adopt: true"
    ):
        await make(**settings).preview(deed(0, 0, new))
    await make(**settings, adopt=True).place(deed(1, 1, new))
    with pytest.raises(TargetRefusalError, match="there were resources already"):
        await make(**settings, adopt=True).restore(deed(1, 2, capture=nothing))

    assert b'"1.0.0"' in states.state


@pytest.mark.parametrize(
    ("settings", "more", "said"),
    [
        ({"program": "terrafrom"}, "", r"“terrafrom” could not be started .* say program:"),
        ({"folder": "infra"}, "", r"no file \*\.tf or \*\.tf\.json in “infra”"),
        ({"secrets": {"db": "NOWHERE"}}, "", "has no variable NOWHERE"),
        ({"backend_config": {"bucket": "b"}}, "", "names no backend"),
        ({}, 'terraform {\n  backend "local" {}\n}\n', "keeps its state in a file beside its configuration"),
        ({}, "resource {\n", "init failed: .*Correct the release"),
        ({}, 'variable "db" {}\n', "plan failed: No value for required variable"),
        ({}, 'resource "terraform_data" "x" {\n  inptu = 1\n}\n', "validate failed: Unsupported argument"),
    ],
)
async def test_what_can_never_be_applied_is_refused_when_it_is_drawn_up(
    make: Make, tmp_path: Path, settings: dict[str, JsonValue], more: str, said: str
) -> None:
    """A sentence each, and nothing stands there."""
    with pytest.raises(TargetRefusalError, match=said):
        await make(**settings).preview(deed(0, 0, release(tmp_path, "1.0.0", more)))

    assert (await make().observe()).capture.holding == Absent()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secrets": {"db": "not a name"}}, "never the secret itself"),
        ({"variables": {"1": "x"}}, "cannot be the name"),
        ({"folder": "../x"}, "no folder in a release"),
        ({"forbid": ["destroy"]}, "delete"),
    ],
)
def test_a_setting_that_cannot_be_right_is_said(
    make: Make, settings: dict[str, JsonValue], said: str
) -> None:
    """Before anything is run."""
    with pytest.raises(ValidationError, match=said):
        make(**settings)
