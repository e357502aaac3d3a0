"""What was read of a branch's history before, so that a look need not read all of it again."""

import json
from pathlib import Path

from domain.value import canonical, digest_of


class Memory:
    """One lane's commits in one branch, as of a tip. It lies in the clone, and is gone where that is made anew."""

    def __init__(self, clone: Path, lane: str, branch: str) -> None:
        self._file = clone / "trails" / f"{digest_of(canonical([lane, branch]).encode())[-32:]}.json"
        self.tip, self.log = self._read()

    def _read(self) -> tuple[str, str]:
        try:
            said = json.loads(self._file.read_bytes())
            return str(said["tip"]), str(said["log"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return "", ""

    def keep(self, tip: str, log: str) -> None:
        """Remember what the history up to this tip says; whole, or not at all."""
        self._file.parent.mkdir(exist_ok=True)
        passing = self._file.with_suffix(".new")
        passing.write_text(json.dumps({"tip": tip, "log": log}))
        passing.replace(self._file)
