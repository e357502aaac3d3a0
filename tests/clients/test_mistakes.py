"""A large folder with mistakes of many kinds: each is found in one run, on its own line, and nothing else."""

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from domain.outcome import Exit
from tests.clients.conftest import CommandLine

SERVICES: Final = 200
MANY: Final = 53
SERVICE: Final = """\
service: {name}
components:
  site: {{kind: content}}
environments:
  dev:
    site: {{target: directory, root: live/{name}/dev, keep: 3}}
    health:
      - {{http: "http://127.0.0.1:8101/", within: 20s}}
  production:
    after: [dev]
    site: {{target: command, deploy: [./deploy], timeout: 5m}}
    health:
      - {{command: [./smoke], within: 1m}}
    approval: {{quorum: 2, from: [people], wait: 1d}}
    soak: 30m
"""
PRODUCTION: Final = """\
environment: production
approval: {quorum: 2, from: [people], wait: 2d, valid: 1d}
soak: 10m
lane: supersede
"""


class Seed(NamedTuple):
    """A mistake: what is replaced in a service's file, by what, and what is said of the line."""

    old: str
    new: str
    mark: str
    key: str = ""


SEEDS: Final = (
    Seed("    soak: 30m", "    soka: 30m", "did you mean soak?", "environments.production.soka"),
    Seed("    after: [dev]", "    aftr: [dev]", "did you mean after?"),
    Seed("    soak: 30m", "    soak: soon", "“soon” is not a duration"),
    Seed("    soak: 30m", "    soak: 5m", "5m is shorter than the 10m", "environments.production.soak"),
    Seed("    soak: 30m", "    soak: -5m", "is not a duration"),
    Seed("    soak: 30m", "    soak: 9999w", "cannot be longer"),
    Seed("    soak: 30m", "    soak:", "nothing is written here"),
    Seed("    soak: 30m", "    lane: queue", "lets more promotions wait than the supersede of production"),
    Seed("    soak: 30m", "    lane: supercede", "supersede", "environments.production.lane"),
    Seed("    soak: 30m", "    yield: true", "production asks for a soak of its own"),
    Seed("quorum: 2", "quorum: two", "“two” is not a number"),
    Seed("quorum: 2", "quorum: 1", "is fewer than"),
    Seed("quorum: 2", "quorum: 9", "cannot be had"),
    Seed("quorum: 2", "quorum: 51", "environments.production.approval.quorum"),
    Seed("from: [people]", "from: [peple]", "did you mean people?"),
    Seed("from: [people]", "from: [others]", "may not approve here"),
    Seed("wait: 1d", "wait: 3d", "is longer than the 2d"),
    Seed("wait: 1d", "valid: 2d", "is longer than the 1d"),
    Seed("wait: 1d", "wiat: 1d", "did you mean wait?"),
    Seed("target: directory", "target: directry", "did you mean directory?"),
    Seed("target: directory, ", "", "target is missing"),
    Seed("keep: 3", "kep: 3", "did you mean keep?"),
    Seed("keep: 3", "keep: lots", "is not a number"),
    Seed("keep: 3", "keep: 0", "environments.dev.site.keep"),
    Seed("root: live/{name}/dev, ", "", "root"),
    Seed("deploy: [./deploy]", "deploy: []", "environments.production.site.deploy"),
    Seed("deploy: [./deploy]", "deploi: [./deploy]", "did you mean deploy?"),
    Seed("timeout: 5m", "timeout: 5 years", "is not a duration"),
    Seed("timeout: 5m", "fenced: maybe", "environments.production.site.fenced"),
    Seed("http: ", "htp: ", "did you mean http?"),
    Seed('"http://127.0.0.1:8101/"', '"ftp://there"', "is not an address"),
    Seed("within: 20s", "within: 20 parsecs", "is not a duration"),
    Seed("within: 20s", "within: 10m", "cannot fit into the 10m"),
    Seed("within: 20s", "every: 1ms", "is not a duration"),
    Seed("within: 20s", "every: 0.01s", "hardly a pause"),
    Seed("within: 20s", "component: sight", "sight"),
    Seed("within: 20s", "status: 99", "environments.dev.health[0].status"),
    Seed("within: 20s", 'matches: "("', "is not a regular expression"),
    Seed("within: 20s", "command: [./x]", "this names 2 kinds of check"),
    Seed("within: 20s", "within: 20s, within: 30s", "this stands here twice"),
    Seed("command: [./smoke]", "command: ./smoke", "environments.production.health[0].command"),
    Seed("after: [dev]", "after: [dve]", "dve"),
    Seed("after: [dev]", "after: [production]", "which is a circle"),
    Seed("after: [dev]", "after: dev", "environments.production.after"),
    Seed("kind: content", "kind: contnt", "content"),
    Seed("kind: content", "knd: content", "did you mean kind?"),
    Seed("service: {name}", "service: other", "is not the name of this file"),
    Seed("service: {name}", "servce: {name}", "did you mean service?"),
    Seed("  production:", "  prodction:", "environments/prodction.yaml"),
    Seed("    soak: 30m", "\tsoak: 30m", "tab"),
    Seed("    after: [dev]", "    after: [dev]]", "this is not YAML"),
    Seed("    soak: 30m", "    soak: 30m\n    soak: 40m", "this stands here twice"),
    Seed("  site: {kind: content}", "  site: {kind: content}\n  soak: {kind: content}", "key of its own"),
)


def _write(folder: Path) -> Iterator[tuple[str, Seed]]:
    """Write the folder, and yield each file that a mistake was sown in."""
    for name in ("environments", "services"):
        (folder / name).mkdir()
    (folder / "towpath.yaml").write_text("groups:\n  people: [ana, bo, cy]\n  others: [di, ed, flo]\n")
    (folder / "environments/dev.yaml").write_text("environment: dev\n")
    (folder / "environments/production.yaml").write_text(PRODUCTION)
    numbers = count()
    for number, seed in zip(numbers, SEEDS, strict=False):
        file, text = _service(number)
        name = Path(file).stem
        old, new = seed.old.replace("{name}", name), seed.new.replace("{name}", name)
        assert old in text, seed
        (folder / file).write_text(text.replace(old, new, 1))
        yield file, seed
    for number in range(len(SEEDS), SERVICES):
        file, text = _service(number)
        (folder / file).write_text(text)


def _service(number: int) -> tuple[str, str]:
    name = f"service-{number:03}"
    return f"services/{name}.yaml", SERVICE.format(name=name)


async def test_every_seeded_mistake_is_found_and_no_other(offline: CommandLine) -> None:
    """In 200 services with 50 mistakes one run says 50 sentences: file, line, key, what to do."""
    sown = list(_write(offline.folder))

    ran = await offline.type("config", "check", "--json")

    said = [one["sentence"] for one in json.loads(ran.out)["findings"]]
    by_file = {file: [one for one in said if one.startswith(f"{file}:")] for file, _ in sown}
    strange = [one for one in said if not any(one in ours for ours in by_file.values())]
    astray = {
        (file, seed.new): by_file[file]
        for file, seed in sown
        if not _is_found(offline.folder, file, seed, by_file)
    }
    assert ran.code == Exit.USAGE
    assert len(sown) == MANY
    assert not astray, "\n".join(map(str, astray.items()))
    assert not strange


def _is_found(folder: Path, file: str, seed: Seed, by_file: dict[str, list[str]]) -> bool:
    """Tell whether exactly one thing is said, on the line that was changed, with a remedy."""
    said = by_file[file]
    number = int(re.sub(r"\D", "", file))
    before, after = _service(number)[1].splitlines(), (folder / file).read_text().splitlines()
    changed = {n for n, line in enumerate(after, 1) if n > len(before) or line != before[n - 1]}
    lines = [int(found[1]) for one in said if (found := re.match(rf"{re.escape(file)}:(\d+): ", one))]
    return (
        len(said) == 1
        and seed.mark in said[0]
        and seed.key in said[0]
        and "; " in said[0]
        and lines[0] in changed
    )
