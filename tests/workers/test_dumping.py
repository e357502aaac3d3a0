"""A worker that crashes, and a program of its that does, leave no memory on the disk."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CRASH = "import os; os.abort()"
"""What the interpreter itself would do where its memory is spoilt."""
OURS = (
    f"from workers.dumping import leave_no_dumps; leave_no_dumps(); import subprocess, sys; "
    f"print(subprocess.run([sys.executable, '-c', {CRASH!r}]).returncode, flush=True); {CRASH}"
)


def crash(code: str, folder: Path) -> bool:
    """Run and crash where dumps are allowed, and tell whether the system made one."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),  # noqa: PLW1509 - no threads yet
    )
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode < 0
    return os.WCOREDUMP(status)


def test_neither_a_worker_nor_its_program_leaves_a_core_dump(tmp_path: Path) -> None:
    """Where the system would make one of anybody else."""
    if not crash(CRASH, tmp_path):
        pytest.skip("this system makes no core dumps of anybody")
    for dump in tmp_path.iterdir():
        dump.unlink()

    assert not crash(OURS, tmp_path)
    assert list(tmp_path.iterdir()) == []
