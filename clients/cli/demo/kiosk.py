"""The demo's second service: two components that are one change."""

import shutil
from pathlib import Path
from typing import Final

from clients.cli.demo.processes import DemoError
from domain.release import Kind

KIOSK: Final = "kiosk"
VERSIONS: Final = ("1.0.0", "2.0.0")
KINDS: Final = {"settings": Kind.SETTINGS, "board": Kind.APPLICATION}


def lay_out(sample: Path, folder: Path) -> None:
    """Put the kiosk's file and its board's program into a configuration folder."""
    shutil.copy(sample / KIOSK / "kiosk.yaml", folder / "services")
    (folder / "ops").mkdir(exist_ok=True)
    shutil.copy(sample / KIOSK / "board.sh", folder / "ops")


def parts(sample: Path, version: str) -> dict[str, tuple[Kind, Path]]:
    """Return what a release of the kiosk is made of."""
    return {name: (kind, sample / KIOSK / version / name) for name, kind in KINDS.items()}


def check(sample: Path, folder: Path, version: str) -> str:
    """Say what settings and board show. Raises ``DemoError`` where either is not what that version brought."""
    shown = {
        "settings": folder / "live/kiosk/current/settings.json",
        "board": folder / "live/board/board.txt",
    }
    for name, file in shown.items():
        wanted = (sample / KIOSK / version / name / file.name).read_text()
        if (found := file.read_text()) != wanted:
            raise DemoError(
                f"{name} of the kiosk was to be as in {version}, “{wanted.strip()}”, and is “{found.strip()}”."
            )
    return f"the board shows “{shown['board'].read_text().strip()}”"
