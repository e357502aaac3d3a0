"""Reading ``towpath.yaml``, ``environments/*.yaml`` and ``services/*.yaml``: all that is wrong, in one go."""

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from activities.configuration_file import Kinds, read_environment, read_organisation, read_service
from activities.mistakes import Mistake, say_key
from activities.yaml_lines import Node, UnreadableError, read_yaml
from domain.configuration import Configuration
from domain.configuration_files import (
    ORGANISATION_FILE,
    SIGNERS_FILE,
    EnvironmentFile,
    Organisation,
    ServiceFile,
)
from domain.consistency import faults
from domain.fault import Fault, Spot
from domain.names import is_identifier
from domain.signers import keys_in, names_in, shared_key_faults
from domain.space import Space

_LARGEST: Final = 1 << 20
_FOLDERS: Final = ("environments", "services")
_NAMED: Final = (("services",), ("environments",))


class Unsound(NamedTuple):
    """Whose files are at fault, alone or by what they say of each other."""

    services: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()


class Inspection(NamedTuple):
    """What a reading of the folder found. ``configuration`` is None exactly where there are mistakes.

    ``sound`` is it without what is ``unsound``, and None where what all of them share is broken.

    ``spaces`` says all the same which environments live in a namespace of their own, as far as it could be read.
    """

    configuration: Configuration | None
    mistakes: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]
    spaces: Mapping[str, Space] = {}
    sound: Configuration | None = None
    unsound: Unsound = Unsound()


def inspect(path: Path, kinds: Kinds) -> Inspection:
    """Read the whole folder."""
    if not path.is_dir():
        problem = "this is not a folder" if path.exists() else "there is no such folder"
        fix = f"name the folder that {ORGANISATION_FILE} is in by TOWPATH_CONFIG, or make it"
        return Inspection(None, (Mistake(str(path), 0, "", problem, fix),), ())
    return _Folder(path, kinds).inspect()


def files_in(path: Path) -> tuple[str, ...]:
    """Return the names of the files that make up the configuration, relative to its folder, in order."""
    found = [ORGANISATION_FILE]
    for folder in _FOLDERS:
        try:
            names = sorted(one.name for one in (path / folder).iterdir())
        except OSError:
            names = []
        shown = [name for name in names if not name.startswith(".")]
        found += [f"{folder}/{name}" for name in shown if name.endswith((".yaml", ".yml"))]
    return tuple(found)


def _unsound(own: Sequence[Fault], judged: Sequence[Fault]) -> Unsound | None:
    """Say whose files are at fault, by themselves or as ``judged`` together; None where it is what all share.

    A route that names one of them is not at fault itself: it leads nowhere until that is mended. Nor is a service for
    what it says of an environment whose file is: it does not go there meanwhile.
    """
    spots = [spot for fault in (*own, *judged) for spot in _blamed(fault)]
    if any(_folder(spot) not in _FOLDERS for spot in spots):
        return None
    environments = _owners("environments", spots)
    of_places = {spot for fault in judged for spot in _blamed(fault) if _place(spot) in environments}
    return Unsound(_owners("services", (spot for spot in spots if spot not in of_places)), environments)


def _blamed(fault: Fault) -> Iterator[Spot]:
    """Say where the mistake may be: no floor is to blame for who goes below it."""
    bound = (fault.bound,) if fault.bound and _folder(fault.bound) == _folder(fault.spot) else ()
    return (spot for spot in (fault.spot, *bound) if not _names_others(spot))


def _names_others(spot: Spot) -> bool:
    """Tell whether it is where a route says which services and environments it is about."""
    return spot.file == ORGANISATION_FILE and spot.keys[:1] == ("notify",) and spot.keys[2:3] in _NAMED


def _folder(spot: Spot) -> str:
    return spot.file.rpartition("/")[0]


def _owners(folder: str, spots: Iterable[Spot]) -> frozenset[str]:
    return frozenset(Path(spot.file).stem for spot in spots if _folder(spot) == folder)


def _place(spot: Spot) -> str | int:
    """Return the environment that a service speaks of there, or nothing."""
    return spot.keys[1] if _folder(spot) == "services" and spot.keys[:1] == ("environments",) else ""


def _without(configuration: Configuration, unsound: Unsound) -> Configuration:
    """Take out what is unsound. What services say of such environments stays: it is part of what each of them says."""
    return configuration.but(
        services={
            name: file for name, file in configuration.services.items() if name not in unsound.services
        },
        environments={
            name: file
            for name, file in configuration.environments.items()
            if name not in unsound.environments
        },
    )


class _Folder:
    """One reading."""

    def __init__(self, path: Path, kinds: Kinds) -> None:
        self._path = path
        self._kinds = kinds
        self._pages: dict[str, Node] = {}
        self._broken_at: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._organisation = Organisation()
        self._environments: dict[str, EnvironmentFile] = {}
        self._services: dict[str, ServiceFile] = {}

    def inspect(self) -> Inspection:
        for folder in _FOLDERS:
            self._open(folder)
        for file in files_in(self._path):
            if self._is_well_named(file):
                self._take(file, self._page(file))
        signers = self._signers()
        configuration = Configuration(
            organisation=self._organisation,
            environments=self._environments,
            services=self._services,
            signers=names_in(signers) if signers is not None else None,
        )
        judged = (*faults(configuration), *shared_key_faults(configuration, keys_in(signers or "")))
        found = [*self._faults, *(fault for fault in judged if not self._follows(fault))]
        mistakes = self._say(fault for fault in found if not fault.is_warning)
        warnings = self._say(fault for fault in found if fault.is_warning)
        # What only follows from another mistake counts here: it may be another's.
        unsound = _unsound(*([one for one in each if not one.is_warning] for each in (self._faults, judged)))
        return Inspection(
            None if mistakes else configuration,
            mistakes,
            warnings,
            configuration.spaces,
            None if unsound is None else _without(configuration, unsound),
            unsound or Unsound(),
        )

    def _signers(self) -> str | None:
        """Return what says whose keys count. Names and keys are read of it; the rest is OpenSSH's to say."""
        file = self._path / SIGNERS_FILE
        if not file.exists():
            return None
        try:
            return _text(file)
        except UnreadableError as wrong:
            self._note(SIGNERS_FILE, wrong.line, wrong.problem, wrong.fix)
            return ""

    def _open(self, folder: str) -> None:
        """Note a folder that is there and cannot be looked into."""
        try:
            next((self._path / folder).iterdir(), None)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._note(
                folder,
                0,
                f"it cannot be looked into ({error.strerror})",
                "make it a folder that is yours to read",
            )

    def _is_well_named(self, file: str) -> bool:
        name = Path(file)
        if name.suffix == ".yml":
            self._note(
                file,
                0,
                "this ends in .yml and so would not be read",
                f"rename it to {name.with_suffix('.yaml')}",
            )
        elif not is_identifier(name.stem):
            self._note(
                file,
                0,
                f"“{name.stem}” cannot be a name",
                "rename the file: letters, digits, dot, dash and underscore",
            )
        else:
            return True
        return False

    def _page(self, file: str) -> Node | None:
        try:
            page = read_yaml(_text(self._path / file))
        except UnreadableError as wrong:
            self._note(file, wrong.line, wrong.problem, wrong.fix)
            return None
        for repeated in page.repeated:
            problem = f"this stands here twice, first on line {repeated.first_line}"
            self._faults.append(Fault(Spot(file, repeated.keys), problem, "keep one"))
        if page.root is None or page.root.content is None:
            self._note(file, 0, "this file is empty", "write it, or remove it")
            return None
        self._pages[file] = page.root
        return page.root

    def _take(self, file: str, page: Node | None) -> None:
        """Read a page into its model. A file that could not be read is still known to be there."""
        folder, name = file.partition("/")[0], Path(file).stem
        if folder == "environments":
            read = read_environment(file, name, page, self._kinds) if page else None
            self._environments[name] = (read and read.value) or EnvironmentFile(environment=name)
            self._faults += read.faults if read else ()
        elif page and folder == "services":
            service = read_service(file, name, page, self._kinds)
            self._services |= {name: service.value} if service.value else {}
            self._faults += service.faults
        elif page:
            organisation = read_organisation(file, page)
            self._organisation = organisation.value or Organisation()
            self._faults += organisation.faults

    def _follows(self, fault: Fault) -> bool:
        """Tell whether a fault may only follow from one that is in a file by itself, and so has been said."""
        return any(
            known.spot.holds(fault.spot)
            or any(known.spot.holds(leaned) or leaned.holds(known.spot) for leaned in fault.leans_on)
            for known in self._faults
        )

    def _note(self, file: str, line: int, problem: str, fix: str) -> None:
        self._broken_at[file] = line
        self._faults.append(Fault(Spot(file), problem, fix))

    def _say(self, found: Iterator[Fault]) -> tuple[Mistake, ...]:
        order = {file: index for index, file in enumerate(("", *_FOLDERS, *files_in(self._path)))}
        mistakes = dict.fromkeys(map(self._mistake, found))
        return tuple(sorted(mistakes, key=lambda mistake: (order.get(mistake.file, 0), mistake.line)))

    def _mistake(self, fault: Fault) -> Mistake:
        bound = f" ({fault.bound.file}:{self._line(fault.bound)})" if fault.bound else ""
        return Mistake(
            fault.spot.file,
            self._line(fault.spot),
            say_key(fault.spot.keys),
            f"{fault.problem}{bound}",
            fault.fix,
        )

    def _line(self, spot: Spot) -> int:
        page = self._pages.get(spot.file)
        return page.line_of(spot.keys) if page else self._broken_at.get(spot.file, 0)


def _text(file: Path) -> str:
    """Return a file's text. Raises ``UnreadableError``; never waits for a pipe, never reads without end."""
    try:
        kind = file.stat().st_mode
        if not stat.S_ISREG(kind):
            raise UnreadableError(0, "this is not a file", "put a file there")
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except FileNotFoundError as error:
        if file.is_symlink():
            raise UnreadableError(0, "this link leads nowhere", "correct it, or take it away") from error
        problem = f"there is no {file.name} in {file.parent}"
        remedy = "make one with `towpath config init`, or name its folder in TOWPATH_CONFIG"
        raise UnreadableError(0, problem, remedy) from error
    except OSError as error:
        raise UnreadableError(0, f"it cannot be read ({error.strerror})", "make it yours to read") from error
    if len(content) > _LARGEST:
        raise UnreadableError(0, "this is more than 1 MiB, which nobody has written", "write less")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(line, "this is not UTF-8 text", "save it as UTF-8") from error
