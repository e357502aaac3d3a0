"""The command target, beyond what every target keeps: how other people's programs are run, and stopped."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import JsonValue

from activities.masking import MASK, mask, secrets_in
from activities.ports import Observation, Place, StaleFenceError, TargetRefusalError, TargetTroubleError
from activities.targets.command import CommandTarget
from domain.environment import Absent, Placement, Unknown, same
from domain.fence import Fence
from domain.journal import Capture
from domain.plan import Undo
from tests.activities.artifacts import COMPONENT, SUBJECT, Artifact, deed, site

Make = Callable[..., CommandTarget]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a target out of Python programs; ``{here}`` is a folder for what they leave."""

    def make(**settings: JsonValue) -> CommandTarget:
        for verb in ("deploy", "undo", "observe"):
            if isinstance(program := settings.get(verb), str):
                settings[verb] = [sys.executable, "-c", dedent(program).replace("{here}", str(tmp_path))]
        return CommandTarget(settings, Place(tmp_path, SUBJECT, COMPONENT))

    return make


@pytest.fixture
def new(tmp_path: Path) -> Artifact:
    return site(tmp_path, "2.0.0")


async def _appears(file: Path) -> str:
    async with asyncio.timeout(10):
        while not (text := _read(file)).endswith("\n"):  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
    return text.strip()


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_program_is_told_everything_twice(make: Make, tmp_path: Path, new: Artifact) -> None:
    """What to do, for whom and under which fence comes as JSON on stdin, and its scalars as variables."""
    target = make(
        deploy="""
        import json, os, sys
        told = {k: v for k, v in os.environ.items() if k.startswith("TOWPATH_")}
        open("{here}/told", "w").write(json.dumps([json.load(sys.stdin), told]))
        """
    )

    await target.place(deed(7, 2, new))

    stdin, variables = json.loads((tmp_path / "told").read_text())
    scalars = {
        "service": "storefront",
        "environment": "dev",
        "component": "site",
        "version": "2.0.0",
        "release": new.placement.release,
        "digest": new.placement.artifact,
        "artifact_path": str(new.file),
        "verb": "deploy",
    }
    of_others = (
        "image",
        "target",
        *(f"undoes_{name}" for name in ("version", "digest", "artifact_path", "image")),
    )
    nothing = dict.fromkeys(of_others)
    assert stdin == scalars | nothing | {"fence": {"turn": 7, "act": 2}, "capture": None}
    more = {"TOWPATH_TURN": "7", "TOWPATH_ACT": "2"} | {f"TOWPATH_{name.upper()}": "" for name in of_others}
    assert variables == {f"TOWPATH_{name.upper()}": value for name, value in scalars.items()} | more


async def test_a_program_is_told_the_image_in_place_of_a_file(
    make: Make, tmp_path: Path, new: Artifact
) -> None:
    """Where an image is to stand, its reference comes, and no path: to deploy, and to undo alike."""
    write = """
    import json, os, sys
    told = json.load(sys.stdin)
    open("{here}/" + told["verb"], "w").write(json.dumps([told, os.environ["TOWPATH_IMAGE"]]))
    """
    target = make(deploy=write, undo=write)
    image = f"registry.example/shop/web@{new.placement.artifact}"
    placing = deed(7, 2, new)._replace(artifact=None, image=image)

    await target.place(placing)
    await target.restore(placing._replace(capture=Capture(holding=new.placement)))

    for verb in ("deploy", "undo"):
        told, variable = json.loads((tmp_path / verb).read_text())
        assert (told["image"], told["artifact_path"], variable) == (image, None, image)
        assert told["digest"] == new.placement.artifact


async def test_what_observe_captured_comes_back_to_undo(make: Make, tmp_path: Path) -> None:
    """The program's own note of how to put things back reaches its undo unchanged, release and all."""
    held = {"version": "1.0.0", "release": f"sha256:{'a' * 64}", "digest": f"sha256:{'b' * 64}"}
    answer = {"held": held, "fence": {"turn": 4, "act": 1}, "capture": {"slot": "blue", "weights": [90, 10]}}
    target = make(
        deploy="",
        observe=f"print('looking'); print({json.dumps(answer)!r})",
        undo="import sys; open('{here}/told', 'w').write(sys.stdin.read())",
    )

    seen = await target.observe()
    await target.restore(deed(5, 2, capture=seen.capture))

    told = json.loads((tmp_path / "told").read_text())
    assert seen.fence == Fence(turn=4, act=1)
    assert isinstance(seen.capture.holding, Placement)
    assert told["capture"] == answer["capture"]
    assert {name: told[name] for name in held} == held


async def test_undoing_to_nothing_names_no_release(make: Make, tmp_path: Path) -> None:
    """Where nothing stood before, undo is told so by an empty release."""
    target = make(
        deploy="", undo="import os; open('{here}/told', 'w').write(repr(os.environ['TOWPATH_RELEASE']))"
    )

    await target.restore(deed(5, 2, capture=Capture(holding=Absent())))

    assert (tmp_path / "told").read_text() == "''"


ENDINGS = {10: TargetRefusalError, 11: StaleFenceError, 1: TargetTroubleError, 75: TargetTroubleError}


@pytest.mark.parametrize("code", ENDINGS)
async def test_the_exit_code_says_what_comes_next(make: Make, new: Artifact, code: int) -> None:
    """10 is refused and 11 is too late; anything else may be tried again. The last words are passed on."""
    target = make(
        deploy=f"""
        import sys
        print("what it does", flush=True)
        print("the disk is full", file=sys.stderr)
        sys.exit({code})
        """
    )

    with pytest.raises(ENDINGS[code], match="the disk is full"):
        await target.place(deed(1, 1, new))


@pytest.mark.parametrize("argv", [["./is-not-there"], ["/etc/hostname"]])
async def test_a_program_that_cannot_start_is_refused(
    make: Make, new: Artifact, argv: list[JsonValue]
) -> None:
    """A missing or unfit program is a sentence, not a retry."""
    with pytest.raises(TargetRefusalError, match="could not be started"):
        await make(deploy=argv).place(deed(1, 1, new))


async def test_what_it_can_do_follows_from_its_programs(make: Make) -> None:
    """Without undo there is no way back, without observe no second try, and it fences only if it says so."""
    bare, whole = make(deploy="pass"), make(deploy="pass", undo="pass", observe="pass", fenced=True)

    assert (bare.undo, bare.repeatable, bare.fenced) == (Undo.PIVOT, False, False)
    assert (whole.undo, whole.repeatable, whole.fenced) == (Undo.COMMAND, True, True)
    assert isinstance((await bare.observe()).capture.holding, Unknown)


@pytest.mark.parametrize(
    "answer", ["", "nonsense", '{"fence": null}', '{"held": {"version": "1.0.0"}}', "x" * 20_000]
)
async def test_an_answer_that_is_none_is_refused(make: Make, answer: str) -> None:
    """Whatever observe prints that is not its answer ends in a sentence which shows the form."""
    with pytest.raises(TargetRefusalError, match="must print, as its last line"):
        await make(deploy="pass", observe=f"print({answer!r})").observe()


async def test_an_answer_may_be_as_long_as_promised(make: Make) -> None:
    """16 KiB of capture come through, after any amount of chatter."""
    answer = json.dumps({"held": None, "capture": "c" * 16_300})
    target = make(deploy="pass", observe=f"print('chatter ' * 50_000); print({answer!r})")

    seen = await target.observe()

    assert json.loads(seen.capture.note) == "c" * 16_300


async def test_a_secret_in_the_capture_is_refused(make: Make) -> None:
    """What is captured is kept for long, so a secret in it is refused instead of kept or garbled."""
    target = make(
        deploy="pass",
        env={"DB_PASSWORD": "hunter2-hunter2"},
        observe="""import os; print('{"held": null, "capture": "%s"}' % os.environ["DB_PASSWORD"])""",
    )

    with pytest.raises(TargetRefusalError, match="prints a secret"):
        await target.observe()


async def test_lines_are_passed_on_without_secrets(
    make: Make, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is handed on as text, less escape codes and the values of variables that look secret."""
    monkeypatch.setenv("REGISTRY_TOKEN", "t0ken-of-the-worker")
    said: list[str] = []
    target = make(
        deploy=r"""
        import os
        print("\x1b[31mpushing\x1b[0m with", os.environ["REGISTRY_TOKEN"])
        print("then", os.environ["SIGNING_KEY"])
        """,
        env={"SIGNING_KEY": "k3y-of-the-settings"},
    )

    await target.place(deed(1, 1, new, said=said.append))

    assert said == [f"pushing with {MASK}", f"then {MASK}"]


async def test_the_error_is_masked_too(make: Make, new: Artifact) -> None:
    """A program's last words end up in histories, so they are masked like its lines."""
    target = make(deploy="import os; exit(os.environ['API_KEY'])", env={"API_KEY": "v3ry-secret"})

    with pytest.raises(TargetTroubleError) as failed:
        await target.place(deed(1, 1, new))

    assert MASK in str(failed.value)
    assert "v3ry-secret" not in str(failed.value)


async def test_the_engine_keeps_its_own_variables(
    make: Make, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program inherits the worker's environment, but not what opens Temporal."""
    monkeypatch.setenv("TEMPORAL_API_KEY", "opens-everything")
    monkeypatch.setenv("KUBECONFIG", "/etc/kube")
    said: list[str] = []
    target = make(deploy="import os; print(os.environ.get('TEMPORAL_API_KEY'), os.environ['KUBECONFIG'])")

    await target.place(deed(1, 1, new, said=said.append))

    assert said == ["None /etc/kube"]


@pytest.mark.parametrize("noise", ["'line %d' % n + ' ' * 90 + '.'", "'x' * 100"], ids=["lines", "one line"])
async def test_ten_megabytes_of_output_are_bounded(make: Make, new: Artifact, noise: str) -> None:
    """The beginning and the end of any output are passed on, and the rest is counted."""
    said: list[str] = []
    end = "'\\n'" if "line" in noise else "''"
    target = make(
        deploy=f"""
        print("the beginning")
        for n in range(100_000): print({noise}, end={end})
        print(); print("the end")
        """
    )

    await target.place(deed(1, 1, new, said=said.append))

    assert (said[0], said[-1]) == ("the beginning", "the end")
    assert sum(map(len, said)) < (1 << 20) + 64 * 1024
    assert sum("bytes are not shown" in line for line in said) == 1


STUBBORN = """
    import os, signal, subprocess, sys, time
    child = "from signal import *; import time; signal(SIGTERM, SIG_IGN); print(flush=True); time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
    grandchild.stdout.readline()
    open("{here}/pids", "w").write(f"{os.getpid()} {grandchild.pid}\\n")
    """


async def test_a_cancel_ends_the_whole_group(make: Make, tmp_path: Path, new: Artifact) -> None:
    """A cancelled program is gone when the cancel is through, with grandchildren that would not hear TERM."""
    target = make(deploy=STUBBORN + "time.sleep(600)", grace="0s")
    placing = asyncio.ensure_future(target.place(deed(1, 1, new)))
    pids = [int(pid) for pid in (await _appears(tmp_path / "pids")).split()]
    assert all(map(_is_running, pids))

    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing

    assert not any(map(_is_running, pids))


async def test_a_failure_ends_what_it_left_behind(make: Make, tmp_path: Path, new: Artifact) -> None:
    """What a failed program leaves in the background must not write after the undo."""
    target = make(deploy=STUBBORN + "sys.exit(1)", grace="0s")

    with pytest.raises(TargetTroubleError):
        await target.place(deed(1, 1, new))

    pids = (await _appears(tmp_path / "pids")).split()
    assert not any(_is_running(int(pid)) for pid in pids)


async def test_a_success_leaves_its_daemon_running(make: Make, tmp_path: Path, new: Artifact) -> None:
    """A program may start what is to stay, even if that holds its output: nobody waits for it."""
    target = make(
        deploy="""
        import subprocess, sys
        daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open("{here}/pids", "w").write(f"{daemon.pid}\\n")
        """
    )

    async with asyncio.timeout(10):
        await target.place(deed(1, 1, new))

    daemon = int(await _appears(tmp_path / "pids"))
    assert _is_running(daemon)
    os.kill(daemon, 9)


async def test_term_comes_before_kill(make: Make, tmp_path: Path, new: Artifact) -> None:
    """A program that hears TERM may clean up before it ends."""
    target = make(
        deploy="""
        import signal, sys, time
        def clean(*_):
            open("{here}/cleaned", "w").write("yes\\n")
            sys.exit(1)
        signal.signal(signal.SIGTERM, clean)
        open("{here}/ready", "w").write("yes\\n")
        time.sleep(600)
        """
    )
    placing = asyncio.ensure_future(target.place(deed(1, 1, new)))
    await _appears(tmp_path / "ready")

    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing

    assert (tmp_path / "cleaned").read_text() == "yes\n"


async def test_a_program_that_takes_too_long_is_stopped(make: Make, new: Artifact) -> None:
    """Past its timeout a program is ended, and that may be tried again."""
    target = make(deploy="import time; time.sleep(600)", timeout="0s")

    with pytest.raises(TargetTroubleError, match="took longer than"):
        await target.place(deed(1, 1, new))


@pytest.mark.parametrize("fenced", [True, False])
async def test_unfenced_deeds_take_turns_on_a_worker(
    make: Make, tmp_path: Path, new: Artifact, *, fenced: bool
) -> None:
    """Where the target does not fence, one program runs at a time; where it does, they may overlap."""
    meet = """
        import os, pathlib, time
        here, act = pathlib.Path("{here}"), os.environ["TOWPATH_ACT"]
        me, other = here / f"in-{act}", here / ("in-3" if act == "2" else "in-2")
        me.touch()
        deadline = time.monotonic() + (10 if FENCED else 0.3)
        while time.monotonic() < deadline and not other.exists(): time.sleep(0.01)
        if other.exists(): (here / "overlap").touch()
        if not FENCED: me.unlink()
        """.replace("FENCED", str(fenced))
    one, two = make(deploy=meet, fenced=fenced), make(deploy=meet, fenced=fenced)

    await asyncio.gather(one.place(deed(1, 2, new)), two.place(deed(1, 3, new)))

    assert (tmp_path / "overlap").exists() == fenced


async def test_a_deed_without_a_release_is_refused(make: Make) -> None:
    """A deploy places releases; taking away is what undo is for."""
    with pytest.raises(TargetRefusalError, match="deploy places releases"):
        await make(deploy="pass").place(deed(1, 1))


async def test_the_skeleton_in_the_docs_keeps_the_contract(make: Make, tmp_path: Path, new: Artifact) -> None:
    """The program that people copy from the docs is fenced, repeatable and undone."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "targets" / "command.md"
    (tmp_path / "deploy.sh").write_text(page.read_text().split("```sh\n")[1].split("```")[0])
    program: list[JsonValue] = ["sh", "deploy.sh"]
    target = make(deploy=program, undo=program, observe=program, fenced=True)
    before = await target.observe()

    await target.place(deed(2, 1, new))
    placed = await target.observe()
    await target.restore(deed(2, 2, capture=before.capture))
    with pytest.raises(StaleFenceError):
        await target.place(deed(2, 1, new))

    assert same(placed.capture.holding, new.placement)
    assert await target.observe() == Observation(before.capture, Fence(turn=2, act=2))


def test_masking_knows_what_looks_secret() -> None:
    """Names, passwords in addresses and the lines of long secrets are masked; paths and tiny values not."""
    secrets = secrets_in(
        {
            "AWS_SECRET_ACCESS_KEY": "abcd1234",
            "DATABASE_URL": "postgres://shop:pa55word@db/shop",
            "TLS_PRIVATE_KEY": "-----BEGIN\nMIIE",
            "SSH_KEY": "/root/.ssh/id",
            "PIN_TOKEN": "1",
            "KEYBOARD": "qwerty",
            "PWD": "/srv/shop",
        }
    )

    assert secrets == {"abcd1234", "pa55word", "-----BEGIN\nMIIE", "-----BEGIN", "MIIE"}


def test_the_longest_secret_is_masked_first() -> None:
    """A secret that contains another leaves nothing of itself."""
    assert mask("key=abcd-efgh", {"abcd", "abcd-efgh"}) == f"key={MASK}"
