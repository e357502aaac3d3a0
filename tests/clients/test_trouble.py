"""What is said when something is in the way: which thing, and the remedy."""

import asyncio
import json
import os
import shlex
import signal
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
from temporalio.client import Client

from activities import asking
from clients.speaking import NO_ENGINE
from domain.names import ENGINE_QUEUE, SEARCH_ATTRIBUTES
from domain.outcome import Exit
from tests.clients.conftest import TOWPATH, CommandLine
from tests.conftest import SILENT
from tests.town import Town
from tests.workers.site import lay_out
from workers.server import free_port, temporal_binary

pytestmark = pytest.mark.server

ASKS = (
    ("plan", "shop", "1.0.0", "dev"),
    ("promote", "shop", "1.0.0", "dev"),
    ("rollback", "shop", "dev"),
    ("adopt", "shop", "dev"),
    ("cancel", "shop", "1.0.0", "dev"),
    ("status",),
    ("status", "shop", "1.0.0", "dev"),
    ("status", "shop", "1.0.0", "dev", "--watch"),
    ("approve", "shop", "1.0.0", "dev", "--plan", "12345678"),
    ("reject", "shop", "1.0.0", "dev", "--plan", "12345678"),
    ("hold", "shop", "dev"),
    ("resume", "shop", "dev"),
    ("retry", "shop", "dev"),
    ("skip", "shop", "dev"),
    ("freeze", "dev", "--reason", "why"),
    ("thaw", "dev"),
)
"""Everything that asks the server."""


@pytest.mark.parametrize("words", [*ASKS, ("doctor",)], ids=" ".join)
async def test_a_server_that_is_down_is_named_with_the_remedy(
    offline: CommandLine, words: tuple[str, ...]
) -> None:
    """Every command that needs the server says where it looked, and how to get one."""
    address = f"127.0.0.1:{free_port()}"
    offline.set(TEMPORAL_ADDRESS=address)

    ran = await offline.type(*words)

    assert ran.code == Exit.NO_SERVER
    assert address in ran.said
    assert "towpath up" in ran.said


@pytest.mark.parametrize("words", [*ASKS, ("doctor",)], ids=" ".join)
async def test_where_the_folders_own_server_is_down_no_other_is_taken_for_it(
    offline: CommandLine, words: tuple[str, ...]
) -> None:
    """Whoever answers at the usual address serves another project: its production was rolled back from here."""
    (offline.folder / ".towpath").mkdir(exist_ok=True)
    (offline.folder / ".towpath/temporal.db").write_bytes(b"")

    ran = await offline.type(*words)

    assert ran.code == Exit.NO_SERVER
    assert "The server of this folder does not run. Start it: towpath up" in " ".join(ran.said.split())


async def test_the_doctor_doubts_a_server_whose_workers_have_died(
    offline: CommandLine, client: Client
) -> None:
    """It outlives a `towpath up` that was killed, and says for minutes that everything is served."""
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    left = {
        "address": client.service_client.config.target_host,
        "ui": "http://127.0.0.1:1",
        "process": os.getpid(),
        "pid": gone.pid,
    }
    (offline.folder / ".towpath").mkdir(exist_ok=True)
    (offline.folder / ".towpath/server.json").write_text(json.dumps(left))

    examined = await offline.type("doctor")
    asked = await offline.type("status")

    assert "The `towpath up` of this folder has died, and its workers with it" in " ".join(asked.err.split())
    assert "– server: it answers on" in examined.out
    assert "which has died: start it again with `towpath up`" in " ".join(examined.out.split())


@pytest.mark.parametrize("words", [*ASKS, ("doctor",)], ids=" ".join)
async def test_a_namespace_that_is_not_there_is_named_with_the_remedy(
    towpath: CommandLine, words: tuple[str, ...]
) -> None:
    """Every command says which namespace is missing, and the command that makes it."""
    towpath.set(TEMPORAL_NAMESPACE="elsewhere")

    ran = await towpath.type(*words)

    assert ran.code == Exit.NO_SERVER
    assert "temporal operator namespace create -n elsewhere" in ran.said


async def test_attributes_that_are_missing_are_named_and_the_command_registers_them(
    offline: CommandLine,
) -> None:
    """On a server that never heard of Towpath, the remedy that is printed is all that it takes."""
    port = free_port()
    offline.set(TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
    server = await asyncio.create_subprocess_exec(
        temporal_binary(),
        *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)),
        *("--log-level", "error"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_up(f"127.0.0.1:{port}")
        asked = await offline.type("promote", "shop", "1.0.0", "dev")
        examined = await offline.type("doctor")
        remedy = asked.said.partition("temporal operator ")[2].split()
        registered = await offline.run("operator", *remedy, program=Path(temporal_binary()))
        again = await offline.type("promote", "shop", "1.0.0", "dev")
    finally:
        server.kill()
        await server.wait()

    assert asked.code == examined.code == Exit.NO_SERVER
    assert all(name in asked.said and name in examined.said for name in SEARCH_ATTRIBUTES)
    assert registered.code == 0
    # It is asked for now; what is missing next is a worker.
    assert again.code == Exit.NOBODY_POLLS
    assert "The promotion of 1.0.0 of shop in dev is asked for" in again.said


async def test_an_engine_that_nobody_runs_is_said(
    offline: CommandLine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any worker, whoever asks is told that nothing would come of it, and how to change that."""
    monkeypatch.setattr(asking, "LISTENING", timedelta(seconds=0.3))
    address = client.service_client.config.target_host
    offline.set(TEMPORAL_ADDRESS=address, TEMPORAL_NAMESPACE=SILENT)
    there = await Client.connect(address, namespace=SILENT)
    await there.start_workflow("LaneWorkflow", id="lane/shop/dev", task_queue=ENGINE_QUEUE)

    planned = await offline.type("plan", "shop", "1.0.0", "dev")
    rolled_back = await offline.type("rollback", "shop", "dev")
    seen = await offline.type("status", "lane/shop/dev")
    held = await offline.type("hold", "shop", "dev")

    assert planned.code == rolled_back.code == seen.code == held.code == Exit.NOBODY_POLLS
    assert all("towpath worker --engine" in ran.said for ran in (planned, rolled_back, seen, held))
    assert NO_ENGINE in seen.said


async def test_an_environment_that_nobody_serves_gets_no_lane(town: Town, towpath: CommandLine) -> None:
    """A rollback of what does not exist is said to be just that, and leaves nothing behind."""
    ran = await towpath.type("rollback", town.service, "nowhere")
    seen = await towpath.type("status", town.service, "nowhere")

    assert ran.code == Exit.NOBODY_POLLS
    assert "towpath worker --environments nowhere" in ran.said
    assert seen.code == Exit.USAGE


@pytest.mark.parametrize(
    ("variables", "mark"),
    [
        ({"TEMPORAL_ADDRESS": "not an address"}, "write host:port"),
        ({"TEMPORAL_PROFILE": "zip"}, "Profile 'zip' not found"),
        ({"TEMPORAL_CONFIG_FILE": "broken.toml"}, "TOML parse error"),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere.pem", "TEMPORAL_TLS_CLIENT_KEY_PATH": "/nowhere.key"},
            "/nowhere.pem",
        ),
    ],
    ids=["address", "profile", "file", "certificate"],
)
async def test_a_connection_that_is_misdescribed_is_said(
    offline: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    mark: str,
) -> None:
    """What is wrong in Temporal's own client configuration is a mistake of usage, and is named."""
    (tmp_path / "broken.toml").write_text("[profile")
    monkeypatch.chdir(tmp_path)
    offline.set(**variables)

    ran = await offline.type("status")

    assert ran.code == Exit.USAGE
    assert mark in ran.said


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "", "1.0.0", "dev"),
        ("promote", "shop", "../../etc", "dev"),
        ("promote", "shop", "1.0.0", "x" * 64),
        ("promote", "shop", "1.0.0", "d\x00ev"),
        ("promote", "shop", "1.0.0", "dev", "--reason", "y" * 2001),
        ("promote", "shop", "1.0.0", "dev", "--by", "   "),
        ("promote", "shop", "1.0.0", "dev", "--by", "z" * 201),
        ("promote", "shop", "1.0.0"),
        ("promote", "shop", "1.0.0", "dev", "more"),
        ("approve", "shop"),
        ("approve", "promotion/shop/dev"),
        ("approve", "lane/shop/dev"),
        ("approve", "x" * 100_000, "--plan", "12345678"),
        ("hold", "environment/dev"),
        ("hold", ""),
        ("hold", "shop", "1", "dev", "x"),
        ("skip", "promotion/shop/dev/1.0.0/2"),
        ("status", "a", "b", "c", "d"),
        ("status", "what/ever"),
        ("status", "'; DROP"),
        ("freeze", "dev"),
        ("freeze", "dev", "--reason", ""),
        ("freeze", "dev", "--reason", "why", "--for", "soon"),
        ("freeze", "dev", "--reason", "why", "--for", ""),
        ("freeze", "dev", "--reason", "why", "--for", "9999999w"),
        ("thaw", "d e v"),
        ("rollback", "shop", "dev", "--turn", "-1"),
        ("bogus",),
        ("status", "--bogus"),
        ("up", "--port", "99999999"),
    ],
    ids=lambda words: " ".join(words)[:40].replace("\x00", "NUL"),
)
async def test_what_makes_no_sense_is_a_mistake_of_usage(
    towpath: CommandLine, words: tuple[str, ...]
) -> None:
    """Empty, huge and misshapen words end with 2 and a sentence, never with a traceback."""
    ran = await towpath.type(*words)

    assert ran.code == Exit.USAGE, ran.said
    assert ran.err.strip()
    assert "Traceback" not in ran.said
    assert len(ran.said) < 3000


async def test_what_people_write_cannot_command_a_terminal(town: Town, towpath: CommandLine) -> None:
    """A reason with escape codes in it is shown without them."""
    town.make("1.0.0")
    await towpath.type("promote", town.service, "1.0.0", f"no-{town.dev}", "--reason", "\x1b]0;mine\x07red")

    ran = await towpath.type("status", town.service, "1.0.0", f"no-{town.dev}")

    assert "red" in ran.out
    assert "\x1b" not in ran.out


async def test_whoever_reads_no_more_is_no_mistake() -> None:
    """As `towpath history | head -1` does: it ended with 1, which is what a mistake of ours is told by."""
    reads, writes = os.pipe()
    os.close(reads)
    process = await asyncio.create_subprocess_exec(TOWPATH, "--help", stdout=writes, stderr=PIPE)
    os.close(writes)
    _, said = await process.communicate()

    assert (process.returncode, said) == (Exit.DONE, b"")


async def test_a_terminal_that_knows_few_characters_is_given_what_it_knows(offline: CommandLine) -> None:
    """A “✓” ended with a traceback there."""
    offline.set(PYTHONIOENCODING="ascii")

    ran = await offline.run("config", "check")

    assert ran.code == Exit.USAGE
    assert "Traceback" not in ran.said
    assert "towpath.yaml" in ran.said


async def test_a_folder_that_is_not_there_is_nobodys(offline: CommandLine, client: Client) -> None:
    """Something was asked for of whatever server was found, in the name of a folder that there is not."""
    offline.set(
        TEMPORAL_ADDRESS=client.service_client.config.target_host,
        TOWPATH_CONFIG=str(offline.folder / "nowhere"),
    )

    asked = await offline.type("freeze", "dev", "--reason", "oops")

    assert asked.code == Exit.USAGE
    assert "which TOWPATH_CONFIG names" in asked.said


async def test_a_towpath_says_which_it_is(offline: CommandLine) -> None:
    ran = await offline.type("--version")

    assert (ran.code, ran.out) == (Exit.DONE, f"towpath {version('towpath')}\n")


@pytest.mark.parametrize("words", [("--help",), ("config", "check", "--json")], ids=" ".join)
async def test_a_disk_that_is_full_is_no_mistake_of_ours(tmp_path: Path, words: tuple[str, ...]) -> None:
    """It is said in a sentence, without all that helps to mend our code."""
    script = f"{shlex.join([str(TOWPATH), *words])} > /dev/full"
    program = await asyncio.create_subprocess_exec(
        *("sh", "-c", script), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(program.communicate(), 30)

    assert program.returncode == Exit.USAGE, said.decode()
    assert b"Traceback" not in said
    assert "This machine does not let us go on: what is written to: No space left" in said.decode()


@pytest.mark.parametrize("words", [("watch", "shpo"), ("history", "--service", "shpo")], ids=" ".join)
async def test_a_service_that_is_misspelt_is_not_waited_for(
    towpath: CommandLine, words: tuple[str, ...]
) -> None:
    """It was watched for ever, and had no history."""
    lay_out(towpath.folder)

    ran = await towpath.type(*words)

    assert ran.code == Exit.USAGE, ran.said
    assert "There is no service “shpo”" in ran.said
    assert "did you mean shop?" in ran.said


async def test_whoever_is_asked_may_end_it_by_ctrl_c() -> None:
    """A question within a running loop heard it only after the next line was typed."""
    script = (
        "import asyncio\nfrom clients.cli.terminal import confirmed\n"
        "async def ask(): confirmed('well?')\nasyncio.run(ask())\n"
    )
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert program.stdout
    async with asyncio.timeout(20):
        asked = await program.stdout.readuntil(b"[y/N]")
        program.send_signal(signal.SIGINT)
        await program.wait()

    assert b"well?" in asked
    assert program.returncode


async def test_two_of_the_same_promotion_are_one(town: Town, towpath: CommandLine) -> None:
    """Asking again for what is under way is declined, with the command that follows it."""
    await towpath.type("promote", town.service, "1.0.0", f"no-{town.dev}")

    ran = await towpath.type("promote", town.service, "1.0.0", f"no-{town.dev}")

    assert ran.code == Exit.REFUSED
    assert f"towpath status {town.service} 1.0.0 no-{town.dev} --watch" in ran.said


async def test_json_is_all_that_a_program_reads(town: Town, towpath: CommandLine) -> None:
    """With --json, standard output is one value with a version, whatever is said beside it."""
    await town.promoted("1.0.0", town.dev)

    for words in (
        ("status",),
        ("status", town.service, "1.0.0", town.dev),
        ("status", town.service, town.dev),
    ):
        ran = await towpath.type(*words, "--json")
        assert json.loads(ran.out)["schema_version"] == 1


LEAVING = """\
import atexit, sys
from clients.cli import main
atexit.register(print, "an ordinary exit")
sys.argv = ["towpath", "status"]
main()
"""


@pytest.mark.processes
async def test_a_short_command_ends_cleanly_every_time(towpath: CommandLine) -> None:
    """Processes that connect, ask and leave end with 0, and never by the ordinary exit that aborts now and then."""
    pairs = [
        await asyncio.gather(*(towpath.run("-c", LEAVING, program=Path(sys.executable)) for _ in range(2)))
        for _ in range(3)
    ]

    for ran in chain(*pairs):
        assert (ran.code, "ordinary exit" in ran.out) == (0, False), ran.said


async def _until_up(address: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await (await Client.connect(address)).count_workflows()
            except RuntimeError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_an_environment_that_is_misspelt_is_told_beside_that_nobody_serves_it(
    town: Town, towpath: CommandLine
) -> None:
    """Where the folder knows others, a slip is the likeliest: no worker of that name will ever come."""
    await towpath.type("config", "init")

    planned = await towpath.type("plan", town.service, "1.0.0", "devv")
    asked = await towpath.type("promote", town.service, "1.0.0", "devv")
    unserved = await towpath.type("plan", town.service, "1.0.0", "dev")

    assert planned.code == asked.code == unserved.code == Exit.NOBODY_POLLS
    assert all("has no environment “devv”: did you mean dev?" in ran.said for ran in (planned, asked))
    assert "did you mean" not in unserved.said
