import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.checks import CHECKS
from activities.configuration_folder import ConfigurationFolder, inspect_folder, read_folder
from activities.mistakes import BrokenConfigurationError
from activities.rules import RULES
from activities.targets import TARGETS
from activities.yaml_lines import UnreadableError, read_yaml
from domain.names import Subject

BROKEN = Path(__file__).parent / "broken_configuration"
SAMPLE = Path(__file__).parent.parent.parent / "deploy/sample/config"
PRODUCTION = Subject(service="storefront", environment="production")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "config"))


def told(folder: Path) -> list[str]:
    return [str(mistake) for mistake in inspect_folder(folder, TARGETS, CHECKS).mistakes]


def test_every_mistake_is_found_in_one_reading() -> None:
    """Each seeded mistake is told once, with file, line, key and remedy, and nothing else is."""
    targets = " or ".join(sorted(TARGETS))
    expected = (BROKEN / "mistakes.txt").read_text().replace("{targets}", targets).splitlines()

    assert told(BROKEN) == expected
    assert len(expected) > 70


def test_secrets_that_are_written_here_are_warned_of(folder: Path) -> None:
    """By the name of the variable, or as a password in an address; a path, or what a worker has itself, is none."""
    service = folder / "services/storefront.yaml"
    written = service.read_text()
    env = "env: {API_TOKEN: hunter2, BASE: 'https://x:pw12@h/', KEY: /run/key, COLOR: blue}"
    program = f"site: {{target: command, deploy: [/bin/true], {env}}}"
    service.write_text(written.replace("site: {target: directory, root: live/dev}", program))
    production = folder / "environments/production.yaml"
    production.write_text(
        f"{production.read_text()}\nrules: [{{command: [/bin/true], env: {{db_password: x}}}}]\n"
    )

    warned = [str(one) for one in inspect_folder(folder, TARGETS, CHECKS, RULES).warnings]

    secrets = [one for one in warned if "looks like a secret" in one]
    assert [one.partition(" looks")[0].rpartition(" ")[2] for one in secrets] == [
        "db_password",
        "API_TOKEN",
        "BASE",
    ]


def test_approvers_who_share_a_key_are_warned_of(folder: Path) -> None:
    """Where decisions are signed; whoever has a key of their own is not named."""
    production = folder / "environments/production.yaml"
    production.write_text(
        "environment: production\napproval: {quorum: 1, from: [release-managers], signed: true}\n"
    )
    (folder / "towpath.yaml").write_text(
        "groups: {release-managers: [bo@example.com, cy@example.com, di@example.com]}\n"
    )
    (folder / "allowed_signers").write_text(
        "bo@example.com ssh-ed25519 AAAAone bo\ndi@example.com ssh-ed25519 AAAAtwo\n"
        '"cy@example.com" namespaces="decision@towpath" ssh-ed25519 AAAAone\n'
        "*@example.com cert-authority ssh-ed25519 AAAAtwo\n"
    )

    warned = [str(one) for one in inspect_folder(folder, TARGETS, CHECKS).warnings]

    assert ["bo@example.com and cy@example.com have one key" in one for one in warned] == [True], warned


def test_a_broken_folder_says_what_is_wrong() -> None:
    """The error's text is for people, its mistakes for programs."""
    with pytest.raises(BrokenConfigurationError) as broken:
        read_folder(BROKEN, TARGETS, CHECKS)

    lines = str(broken.value).splitlines()
    quorum = next(mistake for mistake in broken.value.mistakes if mistake.problem.startswith("“two”"))
    assert lines[0] == f"The configuration in {BROKEN} has {len(lines) - 1} mistakes:"
    assert (quorum.file, quorum.line) == ("services/storefront.yaml", 27)
    assert quorum.key == "environments.production.approval.quorum"
    assert quorum.fix == "write a whole number such as 2"


def test_the_sample_is_without_a_mistake() -> None:
    """What the demo walks through can be read, and reads as it is meant."""
    configuration = read_folder(SAMPLE, TARGETS, CHECKS)

    place = configuration.place(PRODUCTION)
    assert place
    assert place.targets["site"].settings == {"root": "live/production"}
    assert [check.check for check in place.health] == ["http", "http"]
    assert configuration.approval(PRODUCTION).quorum == 1
    assert not inspect_folder(SAMPLE, TARGETS, CHECKS).warnings


DEEP = "[" * 100_000
PROGRAM = "environment: !!python/object/apply:os.system [id]\n"
STEPS = zip("abcdefgh", "bcdefghi", strict=True)
BOMB = "a: &a [x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in STEPS)
ODD_PAGES = {
    "tab": ("environment: dev\n\tsoak: 1m\n", ":2: a tab indents this line; indent with spaces"),
    "quote": ("environment: dev\nkey: 'x\n", ":2: a quote or bracket is opened here and never "),
    "bracket": ("environment: [dev\n", ":1: a quote or bracket is opened here and never closed; close it"),
    "bracket, and more": (
        "environment: [dev\nsoak: 1m\n",
        ":1: “[” is opened here, and not closed before line 2; close it with “]”, or write the comma",
    ),
    "comma": ("environment: {a: b c: d}\n", ":1: a comma or “}” is missing on this line; write it"),
    "colon": ("environment: dev: x\n", ":1: this is not YAML: mapping values are not allowed here; look"),
    "indent": ("environment: dev\n  soak: 1m\n", ":2: this is not YAML: mapping values are not allowed "),
    "two documents": ("environment: dev\n---\na: b\n", ":2: a second document begins here; keep one"),
    "a tag": ("environment: !!str dev\n", ":1: “tag:yaml.org,2002:str” is a tag, which has no meaning "),
    "a program": (PROGRAM, ":1: “tag:yaml.org,2002:python/object/apply:os.system” is a tag, which has "),
    "a circle": ("environment: &a [*a]\n", ":1: *a stands for nothing that ends above it; define &a "),
    "an alias of nothing": ("environment: *a\n", ":1: *a stands for nothing that ends above it; define "),
    "a bomb": (BOMB, ":6: this has more than 20,000 parts; use fewer aliases"),
    "depth": (DEEP, ":1: this is more than 32 levels deep; write it flatter"),
    "a list as a key": ("? [a]\n: b\n", ":1: a key cannot be a list or a mapping; write a name"),
    "a control character": ("environment: dev\n\0\n", ":2: the character U+0000 cannot stand in YAML; "),
    "half a character": ('environment: "\\ud800"\n', ":1: half of a character is written here; write the "),
    "no character": ('environment: "\\UFFFFFFFF"\n', ": this is not YAML: "),
    "comments only": ("# nothing\n", ": this file is empty; write it, or remove it"),
    "white space": (" \n\n", ": this file is empty; write it, or remove it"),
    "a word": ("dev\n", ":1: “dev” stands where keys and values are wanted; write key: value, a line each"),
    "merge": ("environment: dev\n<<: {soak: 1m}\n", ":2: <<: “<<” is not a key here; choose from environ"),
    "hugeness": ("# x\n" * 300_000, ": this is more than 1 MiB, which nobody has written; write less"),
}


@pytest.mark.parametrize(("text", "expected"), ODD_PAGES.values(), ids=ODD_PAGES.keys())
def test_what_is_no_yaml_of_ours_is_refused_in_words(folder: Path, text: str, expected: str) -> None:
    """The one broken file is named with line and remedy; nothing else is said to be wrong for it."""
    (folder / "environments/dev.yaml").write_text(text)

    (mistake,) = told(folder)

    assert mistake.startswith(f"environments/dev.yaml{expected}")


def test_words_are_words(folder: Path) -> None:
    """In YAML 1.2 ``no`` is a name, and so is what was quoted."""
    (folder / "towpath.yaml").write_text('groups: {release-managers: [no, "1.0", on, 2026-05-01]}\n')

    people = read_folder(folder, TARGETS, CHECKS).members(["release-managers"])

    assert people == ("no", "1.0", "on", "2026-05-01")


def test_aliases_stand_for_what_they_name(folder: Path) -> None:
    """Checks that two environments share may be written once."""
    file = folder / "services/storefront.yaml"
    text = file.read_text().replace("    health: [{http", "    health: &well [{http", 1)
    file.write_text(
        text + "    soak: 1m\n  edge:\n    site: {target: directory, root: live/edge}\n    health: *well\n"
    )
    (folder / "environments/edge.yaml").write_text("environment: edge\n")

    service = read_folder(folder, TARGETS, CHECKS).services["storefront"]

    assert service.environments["edge"].health == service.environments["dev"].health


def test_settings_are_read_as_their_own_model_reads_them(folder: Path) -> None:
    """Strict as the reading is, a status may be a number or a list, and a time ISO 8601."""
    file = folder / "services/storefront.yaml"
    file.write_text(file.read_text().replace("within: 5s", "status: [200, 204], timeout: PT5S, within: PT5S"))

    place = read_folder(folder, TARGETS, CHECKS).place(PRODUCTION)

    assert place
    assert place.health[0].within == timedelta(seconds=5)
    assert place.health[0].settings["status"] == [200, 204]


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    """A file in another encoding is named with its line."""
    (folder / "towpath.yaml").write_bytes("store: store\n# für\n".encode("latin-1"))

    assert told(folder)[0] == "towpath.yaml:2: this is not UTF-8 text; save it as UTF-8"


def test_a_missing_folder_is_said_so(tmp_path: Path) -> None:
    """The wrong folder is the first mistake that people make."""
    (tmp_path / "file").touch()

    assert told(tmp_path / "no")[0].startswith(f"{tmp_path}/no: there is no such folder; name the folder")
    assert told(tmp_path / "file")[0].startswith(f"{tmp_path}/file: this is not a folder; ")
    assert told(tmp_path) == [
        (
            f"towpath.yaml: there is no towpath.yaml in {tmp_path}; "
            "make one with `towpath config init`, or name its folder in TOWPATH_CONFIG"
        )
    ]


def test_what_is_not_a_file_is_refused_at_once(folder: Path) -> None:
    """A pipe would be waited on for ever, a folder and a link to nothing cannot be read."""
    os.mkfifo(folder / "services/pipe.yaml")
    (folder / "services/folder.yaml").mkdir()
    (folder / "services/link.yaml").symlink_to("nowhere")

    assert [mistake.partition(";")[0] for mistake in told(folder)] == [
        "services/folder.yaml: this is not a file",
        "services/link.yaml: this link leads nowhere",
        "services/pipe.yaml: this is not a file",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said_so(folder: Path) -> None:
    """The system's own word, and what to do."""
    (folder / "environments/dev.yaml").chmod(0)

    assert told(folder) == [
        "environments/dev.yaml: it cannot be read (Permission denied); make it yours to read"
    ]


def test_files_may_be_links(folder: Path) -> None:
    """As a mounted ConfigMap has them; what editors leave behind a dot is left alone."""
    (folder / ".data").mkdir()
    (folder / "environments/dev.yaml").rename(folder / ".data/dev.yaml")
    (folder / "environments/dev.yaml").symlink_to("../.data/dev.yaml")
    (folder / "environments/.#dev.yaml").symlink_to("nobody@nowhere")

    assert told(folder) == []


def test_a_quorum_that_its_askers_spoil_is_a_warning(folder: Path) -> None:
    """It can be met while others ask, so it is doubtful, not wrong."""
    file = folder / "environments/production.yaml"
    file.write_text(file.read_text().replace("quorum: 1", "quorum: 2"))
    service = folder / "services/storefront.yaml"
    service.write_text(service.read_text().replace("quorum: 1, ", ""))

    found = inspect_folder(folder, TARGETS, CHECKS)

    assert found.configuration
    assert {(warning.file, warning.key) for warning in found.warnings} == {
        ("environments/production.yaml", "approval.quorum"),
        ("services/storefront.yaml", "environments.production.approval.quorum"),
    }
    assert all("nobody approves their own request" in warning.problem for warning in found.warnings)


def _edit(file: Path, to: str) -> None:
    file.write_text(file.read_text().replace("hold_limit: 1h", f"hold_limit: {to}"))


def _edit_keeping_times(file: Path, to: str) -> None:
    seen = file.stat()
    _edit(file, to)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _replace_keeping_times(file: Path, to: str) -> None:
    other = file.with_name(".other")
    shutil.copy2(file, other)
    _edit_keeping_times(other, to)
    other.replace(file)


@pytest.mark.parametrize("edit", [_edit, _edit_keeping_times, _replace_keeping_times])
@pytest.mark.parametrize("to", ["2h", "120m"])
def test_an_edit_holds_at_once(folder: Path, edit: Callable[[Path, str], None], to: str) -> None:
    """Whatever the file's new size and time, the very next effect goes by it."""
    now = ConfigurationFolder(folder, TARGETS, CHECKS)
    assert now.current().environments["production"].hold_limit == timedelta(hours=1)

    edit(folder / "environments/production.yaml", to)

    assert now.current().environments["production"].hold_limit == timedelta(hours=2)


def test_files_that_come_and_go_are_seen(folder: Path) -> None:
    """The folder's files are looked up each time."""
    now = ConfigurationFolder(folder, TARGETS, CHECKS)
    assert "edge" not in now.current().environments

    (folder / "environments/edge.yaml").write_text("environment: edge\n")
    assert "edge" in now.current().environments

    (folder / "environments/edge.yaml").unlink()
    assert "edge" not in now.current().environments


def test_a_folder_that_breaks_is_broken_until_it_is_mended(folder: Path) -> None:
    """No effect goes by rules that were, once there are others that cannot be read."""
    now = ConfigurationFolder(folder, TARGETS, CHECKS)
    file = folder / "environments/production.yaml"
    good = file.read_text()
    now.current()

    file.write_text("environment: production\napproval: {quorum: two}\n")
    for _ in range(2):
        with pytest.raises(BrokenConfigurationError, match="“two” is not a number"):
            now.current()

    file.write_text(good)
    assert now.current() == read_folder(folder, TARGETS, CHECKS)


def test_what_has_not_changed_is_not_read_again(folder: Path) -> None:
    """Effects ask often; the answer is the same value until a file is another one."""
    now = ConfigurationFolder(folder, TARGETS, CHECKS)

    assert now.current() is now.current()


SCRAPS = [
    "\t",
    "\n",
    "-",
    "{x",
    "]x",
    ":",
    "x",
    '"',
    "no",
    "1.0",
    "0",
    "&a",
    "*a",
    "!t",
    "site",
    "dev",
    "soak:",
    "approval:",
    "[a,b]",
    "~",
    "true",
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(["towpath.yaml", "environments/production.yaml", "services/storefront.yaml"]),
    at=st.integers(0, 2000),
    cut=st.integers(0, 30),
    scrap=st.sampled_from(SCRAPS) | st.text(max_size=4).filter(lambda text: text.isprintable()),
)
def test_whatever_is_written_is_read_or_refused(
    folder: Path, file: str, at: int, cut: int, scrap: str
) -> None:
    """No slip of the hand is a crash, and every refusal names a file that is there."""
    text = (SAMPLE / file).read_text()
    at %= len(text)
    (folder / file).write_text(text[:at] + scrap + text[at + cut :])
    try:
        found = inspect_folder(folder, TARGETS, CHECKS)
    finally:
        (folder / file).write_text(text)

    assert (found.configuration is None) == bool(found.mistakes)
    assert all(
        (folder / mistake.file).exists() and mistake.problem and mistake.fix for mistake in found.mistakes
    )


PUNCTUATION = "a1:- \n\t[]{}&*!|>'\"#%@,?~.\\"


def plain(text: str) -> object:
    """Return the content of a text, or the remedy where it is no YAML of ours."""
    try:
        root = read_yaml(text).root
    except UnreadableError as no:
        return no.fix
    return root.plain() if root else {}


@given(text=st.text(st.sampled_from(PUNCTUATION), max_size=20) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """The reader raises nothing but its one error, and whatever it reads can be written as JSON."""
    assert json.dumps(plain(text), allow_nan=False, ensure_ascii=False).encode()


def reader(folder: Path) -> ConfigurationFolder:
    return ConfigurationFolder(folder, TARGETS, CHECKS, RULES)


PLACE = "{site: {target: directory, root: live/other}}"
BROKEN_SERVICES = (
    "service: other\n",
    f"service: other\ncomponents: {{site: {{kind: contnt}}}}\nenvironments: {{dev: {PLACE}}}\n",
    f"service: storefront\ncomponents: {{site: {{kind: content}}}}\nenvironments: {{dev: {PLACE}}}\n",
    f"service: other\ncomponents: {{site: {{kind: content}}}}\nenvironments: {{moon: {PLACE}}}\n",
    "}{",
    "",
)


@pytest.mark.parametrize("written", BROKEN_SERVICES)
def test_a_mistake_in_one_services_file_keeps_nobody_from_the_others(folder: Path, written: str) -> None:
    """They have what they have without that file; it alone has nothing, and whoever reads all is told of it."""
    without = reader(folder).current()
    (folder / "services/other.yaml").write_text(written)
    read = reader(folder)

    assert read.about("storefront") == without
    assert read.about() == without
    with pytest.raises(BrokenConfigurationError, match=r"services/other\.yaml"):
        read.about("other")
    with pytest.raises(BrokenConfigurationError, match=r"services/other\.yaml"):
        read.current()


def test_what_has_no_mistake_is_the_same_for_all(folder: Path) -> None:
    read = reader(folder)

    assert read.about() == read.about("storefront") == read.about("nobody") == read.current()


def test_a_route_to_a_service_whose_file_is_broken_is_no_mistake_of_all(folder: Path) -> None:
    """Alarms of the others go where they went."""
    organisation = folder / "towpath.yaml"
    organisation.write_text(
        f"{organisation.read_text()}\nchannels: {{pager: 'env:PAGER'}}\n"
        "notify: [{to: [pager], services: [other], events: [unsettled]}]\n"
    )
    (folder / "services/other.yaml").write_text(BROKEN_SERVICES[0])

    assert reader(folder).about("storefront").organisation.channels == {"pager": "env:PAGER"}


def test_a_mistake_in_what_all_share_concerns_all(folder: Path) -> None:
    """Whom a group names is not to be guessed at."""
    organisation = folder / "towpath.yaml"
    organisation.write_text(f"{organisation.read_text()}\nnonsense: true\n")
    (folder / "services/other.yaml").write_text(BROKEN_SERVICES[0])

    for service, environment in product(("storefront", "other", ""), ("dev", "production", "")):
        with pytest.raises(BrokenConfigurationError, match="nonsense"):
            reader(folder).about(service, environment)
    with pytest.raises(BrokenConfigurationError, match="nonsense"):
        reader(folder).shared()


BROKEN_ENVIRONMENTS = (
    "environment: production\nnonsense: true\n",
    "environment: prod\n",
    "environment: production\nkey: ed25519:short\n",
    "environment: production\napproval: {quorum: 3, from: [release-managers, strangers]}\n",
    "environment: production\nsoak: 1h\napproval: {quorum: two}\n",
    "environment: [production\n",
    "",
)


@pytest.mark.parametrize("written", BROKEN_ENVIRONMENTS)
def test_a_mistake_in_one_environments_file_keeps_nobody_from_the_others(folder: Path, written: str) -> None:
    """What holds in them is what held before, to the digest of their terms. It alone has nothing."""
    dev = Subject(service="storefront", environment="dev")
    before = reader(folder).current().terms(dev, timedelta(minutes=10), "n")
    (folder / "environments/production.yaml").write_text(written)
    read = reader(folder)

    assert read.about("storefront", "dev").terms(dev, timedelta(minutes=10), "n") == before
    assert "production" not in read.shared().environments
    for service in ("storefront", "other", ""):
        with pytest.raises(BrokenConfigurationError, match=r"environments/production\.yaml"):
            read.about(service, "production")
    with pytest.raises(BrokenConfigurationError, match=r"environments/production\.yaml"):
        read.about("storefront")


def test_environments_that_contradict_each_other_are_both_left_out(folder: Path) -> None:
    """Nobody says whose key it is."""
    key = f"ed25519:{'A' * 43}="
    for name in ("staging", "production"):
        (folder / f"environments/{name}.yaml").write_text(f"environment: {name}\nkey: {key}\n")
    read = reader(folder)

    assert set(read.about(environment="dev").environments) == {"dev"}
    for name in ("staging", "production"):
        with pytest.raises(BrokenConfigurationError, match="this is the key of"):
            read.about(environment=name)


@pytest.mark.parametrize("broken", [False, True])
def test_a_service_that_goes_below_a_floor_is_at_fault_itself(folder: Path, *, broken: bool) -> None:
    """The environment is not; and where that is at fault as well, the service stands everywhere else."""
    nonsense = "nonsense: true\n" if broken else ""
    (folder / "environments/production.yaml").write_text(
        f"environment: production\nobserve_only: true\n{nonsense}"
    )
    service = folder / "services/storefront.yaml"
    service.write_text(
        service.read_text().replace("after: [staging]", "after: [staging]\n    observe_only: false")
    )
    read = reader(folder)

    assert any("observe_only" in str(one) for one in read.inspect().mistakes)
    assert read.inspect().unsound == (
        (frozenset(), {"production"}) if broken else ({"storefront"}, frozenset())
    )


def test_a_route_to_an_environment_that_is_broken_is_no_mistake_of_all(folder: Path) -> None:
    organisation = folder / "towpath.yaml"
    organisation.write_text(
        f"{organisation.read_text()}\nchannels: {{pager: 'env:PAGER'}}\n"
        "notify: [{to: [pager], environments: [production], events: [unsettled]}]\n"
    )
    (folder / "environments/production.yaml").rename(folder / "environments/production.yml")

    assert reader(folder).shared().organisation.channels == {"pager": "env:PAGER"}


@pytest.mark.parametrize("written", ["", "towpath: 1\n", "}{"])
def test_two_files_that_contradict_each_other_are_both_left_out(folder: Path, written: str) -> None:
    """Nobody says which of them is meant."""
    shutil.copy(folder / "services/storefront.yaml", folder / "services/storefront.yml")
    (folder / "services/storefront.yml").write_text(written)

    with pytest.raises(BrokenConfigurationError, match="ends in \\.yml"):
        reader(folder).about("storefront")
