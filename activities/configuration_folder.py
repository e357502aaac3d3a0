"""The configuration folder as it is now.

Towpath reads it at every effect, so whoever edits it while workers run should replace files whole, as most
editors do: half a file is half a rule.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from activities.configuration_file import Kinds
from activities.configuration_reading import Inspection, files_in, inspect
from activities.mistakes import BrokenConfigurationError
from activities.ports import ConfiguredCheck, ConfiguredRule, ConfiguredTarget
from domain.configuration import Configuration
from domain.configuration_files import SIGNERS_FILE

_TRIES: Final = 5

Targets = Mapping[str, type[ConfiguredTarget]]
Checks = Mapping[str, type[ConfiguredCheck]]
Rules = Mapping[str, type[ConfiguredRule]]
NO_RULES: Final[Rules] = {}
Look = tuple[tuple[object, ...], ...]
"""What tells one state of the folder from another without reading it."""


def read_folder(path: Path, targets: Targets, checks: Checks, rules: Rules = NO_RULES) -> Configuration:
    """Read the whole folder. Raises ``BrokenConfigurationError`` with everything that is wrong in it."""
    return _believed(path, inspect_folder(path, targets, checks, rules))


def inspect_folder(path: Path, targets: Targets, checks: Checks, rules: Rules = NO_RULES) -> Inspection:
    """Read the whole folder, and return everything that is wrong or doubtful in it."""
    kinds = Kinds(
        targets={name: kind.settings for name, kind in targets.items()},
        checks={name: kind.settings for name, kind in checks.items()},
        rules={name: kind.settings for name, kind in rules.items()},
    )
    return inspect(path, kinds)


def _believed(path: Path, found: Inspection) -> Configuration:
    if found.configuration is None:
        raise BrokenConfigurationError(str(path), found.mistakes)
    return found.configuration


class ConfigurationFolder:
    """A folder that is read again whenever any of its files is another one than before."""

    def __init__(self, path: Path, targets: Targets, checks: Checks, rules: Rules = NO_RULES) -> None:
        self._path = path
        self._targets = targets
        self._checks = checks
        self._rules = rules
        self._known: tuple[Look, Inspection] | None = None

    def current(self) -> Configuration:
        """Return the configuration. Raises ``BrokenConfigurationError`` where it is broken now."""
        return _believed(self._path, self.inspect())

    def about(self, service: str = "", environment: str = "") -> Configuration:
        """Return what concerns this service and environment, without others whose files are broken.

        Where no environment is named, all of them count. Raises ``BrokenConfigurationError`` where a file that counts
        is broken, or what all of them share.
        """
        found = self.inspect()
        broken = environment in found.unsound.environments if environment else found.unsound.environments
        if found.sound is None or broken or service in found.unsound.services:
            return _believed(self._path, found)
        return found.sound

    def shared(self) -> Configuration:
        """Return what all share, and all that is whole. Raises ``BrokenConfigurationError`` where the former is not."""
        found = self.inspect()
        return _believed(self._path, found) if found.sound is None else found.sound

    def inspect(self) -> Inspection:
        """Return what the newest reading found, warnings included."""
        look = _look(self._path)
        if self._known and self._known[0] == look:
            return self._known[1]
        found = inspect_folder(self._path, self._targets, self._checks, self._rules)
        for _ in range(_TRIES):
            before, look = look, _look(self._path)
            if before == look:
                break
            found = inspect_folder(
                self._path, self._targets, self._checks, self._rules
            )  # edited while it was read
        self._known = look, found
        return found


def _look(path: Path) -> Look:
    return tuple(_look_at(path / file) for file in (*files_in(path), SIGNERS_FILE))


def _look_at(file: Path) -> tuple[object, ...]:
    try:
        seen = file.stat()
    except OSError as unseen:
        return str(file), unseen.errno
    return str(file), seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev
