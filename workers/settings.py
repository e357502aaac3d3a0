"""What a process is told by its surroundings: the only file that reads the environment's variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

CONFIGURATION: Final = "TOWPATH_CONFIG"
STATE: Final = "TOWPATH_STATE"
LOG_FORMAT: Final = "TOWPATH_LOG"
TEMPORAL_CLI: Final = "TOWPATH_TEMPORAL_CLI"
METRICS: Final = "TOWPATH_METRICS"
BY: Final = "TOWPATH_BY"
SIGNING_KEY: Final = "TOWPATH_SIGNING_KEY"


class Surroundings(NamedTuple):
    """Where things are.

    ``folder`` holds the configuration (``TOWPATH_CONFIG``, else the working folder); ``state`` what this machine
    keeps for itself: keys, caches, the embedded server's file (``TOWPATH_STATE``, else ``.towpath`` in the folder).
    """

    folder: Path
    state: Path
    json_logs: bool
    temporal_cli: str
    metrics: str
    """``host:port`` to serve ``/metrics``, ``/healthz`` and ``/readyz`` on; empty for none."""
    by: str = ""
    """Who acts, where the command line does not say (``TOWPATH_BY``)."""
    signing_key: str = ""
    """The OpenSSH key that they sign with, likewise (``TOWPATH_SIGNING_KEY``)."""

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def cache(self) -> Path:
        return self.state / "artifacts"

    @property
    def database(self) -> Path:
        return self.state / "temporal.db"


def surroundings(folder: Path | None = None, variables: Mapping[str, str] = os.environ) -> Surroundings:
    """Read the process's surroundings; a folder given on the command line wins."""
    chosen = (folder or Path(variables.get(CONFIGURATION, "."))).absolute()
    return Surroundings(
        folder=chosen,
        state=Path(variables.get(STATE, chosen / ".towpath")).absolute(),
        json_logs=variables.get(LOG_FORMAT, "console") == "json",
        temporal_cli=variables.get(TEMPORAL_CLI, ""),
        metrics=variables.get(METRICS, ""),
        by=variables.get(BY, ""),
        signing_key=variables.get(SIGNING_KEY, ""),
    )


def variables_here() -> Mapping[str, str]:
    """Return this process's variables, for those that the configuration refers to by name."""
    return os.environ


def variables_for(said: Mapping[str, str], variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a program that is told where Towpath and Temporal are by this, and by nothing else."""
    own = {name: text for name, text in variables.items() if not name.startswith(("TEMPORAL_", "TOWPATH_"))}
    return own | dict(said)
