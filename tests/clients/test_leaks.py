"""A secret is planted wherever one is used, and then looked for everywhere: nothing keeps it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from domain.outcome import Exit
from tests.clients.conftest import CommandLine, ended
from tests.clients.test_hosting import home as home_of_a_site
from tests.clients.test_hosting import start_up
from workers.server import free_port

pytestmark = [pytest.mark.server, pytest.mark.processes]
home = home_of_a_site
SECRET: Final = "hunter2-Zq8fXw5nRt"
PROGRAM: Final = """#!/bin/sh
echo "$TOWPATH_VERB with $DEPLOY_TOKEN"
echo "the token is $DEPLOY_TOKEN" >&2
case "$TOWPATH_VERB" in
  observe) cat held 2>/dev/null || echo '{"held": null}' ;;
  *) test -n "$TOWPATH_RELEASE" || { rm -f held; exit 0; }
     printf '{"held": {"version": "%s", "release": "%s", "digest": "%s"}}' \\
       "$TOWPATH_VERSION" "$TOWPATH_RELEASE" "$TOWPATH_DIGEST" > held ;;
esac
test "$TOWPATH_VERSION" != 2 || { echo "refused: $DEPLOY_TOKEN is not for this"; exit 10; }
"""
SERVICE: Final = """\
service: storefront
components: {site: {kind: content}}
environments:
  dev:
    site: {target: command, deploy: [./program], undo: [./program], observe: [./program]}
    health: [{command: [sh, -c, 'echo "looked with $DEPLOY_TOKEN"'], within: 5s}]
"""


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and file.name != "program")


def _command_lines() -> Iterator[tuple[str, bytes]]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                yield process.name, (process / "cmdline").read_bytes()
            except OSError:
                continue


def _family(pid: int) -> Iterator[Path]:
    """Return a process, and those that it has started: the server is one."""
    yield Path(f"/proc/{pid}")
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield Path(f"/proc/{child}")


async def test_a_planted_secret_is_found_nowhere(home: CommandLine) -> None:
    """Not in the server's file, store, logs, metrics, kept output, answers or process lists; no crash dump is left."""
    (home.folder / "program").write_text(PROGRAM)
    (home.folder / "program").chmod(0o700)
    (home.folder / "services/storefront.yaml").write_text(SERVICE)
    (home.folder / "towpath.yaml").write_text(
        "store: store\nchannels: {chat: 'env:CHAT_ADDRESS'}\nnotify: [{to: [chat]}]\n"
    )
    away = free_port()
    metrics = f"127.0.0.1:{free_port()}"
    port = free_port()
    home.set(
        DEPLOY_TOKEN=SECRET,
        CHAT_ADDRESS=f"json://towpath:{SECRET}@127.0.0.1:{away}/",
        TEMPORAL_ADDRESS=f"127.0.0.1:{port}",
        TOWPATH_METRICS=metrics,
    )
    up = await start_up(home, port)
    said = ""
    try:
        for version in ("1", "2"):
            await home.type(
                "release", "create", "storefront", version, "--from", f"{home.folder}/site/{version}"
            )
        done = await home.type("promote", "storefront", "1", "dev", "--watch")
        undone = await home.type("promote", "storefront", "2", "dev", "--watch")
        for words in (
            ("status", "storefront", "2", "dev", "--json"),
            ("environments", "show", "dev", "--json"),
            ("history", "--json"),
            ("logs", "storefront", "2", "dev"),
            ("config", "show", "storefront", "dev"),
            ("notify", "test"),
            ("doctor",),
        ):
            ran = await home.type(*words)
            said += ran.out + ran.err
        async with httpx.AsyncClient(trust_env=False) as client:
            said += (await client.get(f"http://{metrics}/metrics")).text
        limits = [(process / "limits").read_text() for process in _family(up.pid)]
        seen = [name for name, line in _command_lines() if SECRET.encode() in line]
    finally:
        up.terminate()
        ran = await ended(up)
        said += ran.out + ran.err

    assert (done.code, undone.code) == (Exit.DONE, Exit.ROLLED_BACK), done.said + undone.said
    assert not seen
    assert len(limits) > 1
    assert all(re.search(r"^Max core file size +1 +1 ", limit, re.MULTILINE) for limit in limits)
    assert "the token is" in said
    assert "•••" in said
    for text in (said, done.out + done.err, undone.out + undone.err):
        assert SECRET not in text
    files = list(_files(home.folder))
    assert any(file.name.startswith("temporal.db") for file in files)
    assert [str(file) for file in files if SECRET.encode() in file.read_bytes()] == []
