"""Completing names in a shell: of services, environments, versions and ids, from the folder and its store.

A shell waits for this at every tab. So it loads nothing but Python's own library, reads names of files and not the
files, and says nothing where something is wrong. Verbs and options are completed by the command line itself.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final

VARIABLE: Final = "_TOWPATH_COMPLETE"
"""By which a shell asks, and how: ``complete_bash``."""
AT_MOST: Final = 200
PATIENCE: Final = 1.0
"""Seconds for a bucket to name versions."""

_SERVICE: Final = ("service",)
_ENVIRONMENT: Final = ("environment",)
_VERSION: Final = ("version",)
_EITHER: Final = ("version", "environment")
_PLACE: Final = (_SERVICE, _ENVIRONMENT)
_PROMOTION: Final = (("service", "id"), _VERSION, _ENVIRONMENT)
_CHANGE: Final = (("service", "id"), _EITHER, _ENVIRONMENT)

VERBS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "plan": (_SERVICE, _VERSION, _ENVIRONMENT),
    "promote": (_SERVICE, _VERSION, _ENVIRONMENT),
    "validate": (_SERVICE, _VERSION),
    "rollback": _PLACE,
    "adopt": _PLACE,
    "cancel": _PROMOTION,
    "approve": _PROMOTION,
    "reject": _PROMOTION,
    "hold": _CHANGE,
    "resume": _CHANGE,
    "retry": _CHANGE,
    "skip": _CHANGE,
    "freeze": (_ENVIRONMENT,),
    "thaw": (_ENVIRONMENT,),
    "pin": _PLACE,
    "unpin": _PLACE,
    "can": ((), (), (*_SERVICE, *_ENVIRONMENT), _ENVIRONMENT),
    "override": _PLACE,
    "review sign": _PLACE,
    "quarantine": (_SERVICE, _VERSION),
    "release quarantine": (_SERVICE, _VERSION),
    "release unquarantine": (_SERVICE, _VERSION),
    "status": _CHANGE,
    "watch": (("service", "environment", "id"), _EITHER, _ENVIRONMENT),
    "services": (_SERVICE,),
    "logs": _CHANGE,
    "diff": (_SERVICE, _VERSION, _VERSION),
    "config show": _PLACE,
    "environment key": (_ENVIRONMENT,),
    "environments show": (_ENVIRONMENT,),
    "release create": (_SERVICE,),
    "release list": (_SERVICE,),
    "release show": (_SERVICE, _VERSION),
    "release prune": (_SERVICE,),
    "history": (),
    "environment new": (),
    "audit verify": (),
    "audit show": (),
    "audit export": (),
}
"""Verb → what may stand in each of its places; nothing, where only its options take names."""
OPTIONS: Final[Mapping[str, str]] = {
    "--service": "service",
    "--environment": "environment",
    "--through": "environment",
    "--to": "environment",
    "--release": "version",
    "--version": "version",
}
FLAGS: Final = frozenset(
    {
        *(
            "--all",
            "--break-glass",
            "--hotfix",
            "--check",
            "--content",
            "--coverage",
            "--dry-run",
            "--engine",
            "--even-so",
            "--follow",
        ),
        *("-f", "--github", "--help", "-h", "--json", "--keep", "--print", "--signal", "--until-idle"),
        *("--watch", "-w", "--without-server", "--yes"),
    }
)
"""Options that stand alone; any other takes the word after it."""


def complete(variables: Mapping[str, str], folder: Path) -> str | None:
    """Return what a shell is told, or None where the command line itself is to answer."""
    shell = variables.get(VARIABLE, "").removeprefix("complete_")
    try:
        *before, begun = _typed(shell, variables)
        kinds = _wanted(before, begun)
        if kinds is None:
            return None
        known = _Names(folder / variables.get("TOWPATH_CONFIG", "."), before)
        found = sorted({name for kind in kinds for name in known.of(kind, begun) if name.startswith(begun)})
    except Exception:  # noqa: BLE001 - a shell shows whatever is said here in the middle of what is typed
        return None
    return _as_told(shell, found[:AT_MOST], variables)


def _typed(shell: str, variables: Mapping[str, str]) -> list[str]:
    """Return the words before the cursor, the program's own left out; the last one is begun, or empty."""
    if shell == "bash":
        words, place = _split(variables["COMP_WORDS"]), int(variables["COMP_CWORD"])
        return [*words[1:place], words[place] if place < len(words) else ""]
    line = variables["_TYPER_COMPLETE_ARGS"]
    return [*_split(line)[1:], *([""] if line.endswith(" ") else [])]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()  # a quote that is not closed yet


def _wanted(before: Sequence[str], begun: str) -> Sequence[str] | None:
    """Return the kinds of names that may stand here, or None where no name does."""
    verb, rest = _verb(before)
    if verb is None or begun.startswith("-"):
        return None
    if rest and rest[-1].startswith("-") and rest[-1] not in FLAGS and "=" not in rest[-1]:
        return [OPTIONS[rest[-1]]] if rest[-1] in OPTIONS else None
    places, at = VERBS.get(verb, ()), len(_words(rest))
    return places[at] if at < len(places) else None


def _verb(before: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    for length in (2, 1):
        verb = " ".join(before[:length])
        if len(before) >= length and verb in VERBS:
            return verb, before[length:]
    return None, ()


def _words(rest: Sequence[str]) -> list[str]:
    """Return what is neither an option nor an option's value."""
    words: list[str] = []
    taken = False
    for word in rest:
        if word.startswith("-"):
            taken = word not in FLAGS and "=" not in word
        elif taken:
            taken = False
        else:
            words.append(word)
    return words


class _Names:
    """What a configuration folder and its store have names of."""

    def __init__(self, folder: Path, before: Sequence[str]) -> None:
        self._folder = folder
        self._before = before

    def of(self, kind: str, begun: str) -> Iterable[str]:
        match kind:
            case "service":
                return _stems(self._folder / "services", ".yaml")
            case "environment":
                return _stems(self._folder / "environments", ".yaml")
            case "version":
                services = [word for word in self._before if word in set(self.of("service", ""))]
                return [version for service in services[:1] for version in self._versions(service)]
            case _:
                return self._ids(begun) if begun else ()

    def _ids(self, begun: str) -> Iterator[str]:
        services, environments = list(self.of("service", "")), list(self.of("environment", ""))
        yield from (f"environment/{name}" for name in environments)
        for service, environment in product(services, environments):
            yield f"lane/{service}/{environment}"
        if not begun.startswith("p"):
            return
        for service in services:
            owns = (f"promotion/{service}/", f"pipeline/{service}/")
            if not any(own.startswith(begun) or begun.startswith(own) for own in owns):
                continue
            for version in self._versions(service):
                yield f"pipeline/{service}/{version}"
                yield from (f"promotion/{service}/{environment}/{version}" for environment in environments)

    def _versions(self, service: str) -> Iterable[str]:
        store = self._store()
        if "://" in store:
            return _in_bucket(store, self._folder, service)
        return _stems(self._folder / store / "release" / service, ".json")

    def _store(self) -> str:
        """Read the one line that says where the store is, as people write it, without reading YAML."""
        written = (self._folder / "towpath.yaml").read_text(encoding="utf-8")
        found = re.search(r"^store:\s*(?:\"([^\"]*)\"|'([^']*)'|(\S+))", written, re.MULTILINE)
        return (found[1] or found[2] or found[3]).removeprefix("file://") if found else "store"


def _in_bucket(store: str, folder: Path, service: str) -> list[str]:
    import asyncio  # noqa: PLC0415 - where the store is a folder, nobody waits for this

    from activities.stores import open_store  # noqa: PLC0415

    async def look() -> list[str]:
        async with asyncio.timeout(PATIENCE):
            return await open_store(store, folder).list(f"release/{service}")

    return [key.rpartition("/")[2].removesuffix(".json") for key in asyncio.run(look())]


def _stems(folder: Path, suffix: str) -> list[str]:
    if not folder.is_dir():
        return []
    return [
        file.name.removesuffix(suffix)
        for file in folder.iterdir()
        if file.name.endswith(suffix) and not file.name.startswith(".")
    ]


def _as_told(shell: str, found: Sequence[str], variables: Mapping[str, str]) -> str | None:
    if shell == "zsh":
        names = "\n".join(f'"{name}"' for name in found)
        return f"_arguments '*: :(({names}))'" if found else ""
    if shell == "fish" and variables.get("_TYPER_COMPLETE_FISH_ACTION") != "get-args":
        return None
    return "\n".join(found)
