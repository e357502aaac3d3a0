"""The git target, beyond what every target keeps: what is committed, and what is left alone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from activities.git.clone import Clone
from activities.ports import Place, StaleFenceError, TargetRefusalError, TargetTroubleError
from activities.targets.git import GitTarget
from domain.environment import Absent, Placement, Unknown, same
from domain.fence import Fence
from domain.journal import Capture
from domain.value import digest_of
from tests.activities.artifacts import COMPONENT, SUBJECT, Artifact, deed, site
from tests.activities.fleet import FILES, Fleet, served
from tests.activities.secure_shell import SERVER, listening

Make = Callable[..., GitTarget]
OVERLAY, VALUES, RELEASE = (
    "apps/web/overlays/production/kustomization.yaml",
    "charts/web/values-production.yaml",
    "clusters/production/web.yaml",
)
WRITES: list[JsonValue] = [
    {"file": OVERLAY, "image": "registry.example/shop/web"},
    {"file": VALUES, "path": "image.tag", "value": "{version}"},
    {"file": RELEASE, "path": "spec.chart.spec.version", "value": "{version}"},
    {
        "file": RELEASE,
        "document": {"kind": "HelmRelease"},
        "path": "spec.values.image.tag",
        "value": "{version}",
    },
    {
        "file": "argo/web.yaml",
        "path": "spec.generators[0].list.elements[cluster=production].version",
        "value": "{version}",
    },
    {"file": "config/web.json", "path": "web.image", "value": "registry.example/shop/web:{version}"},
]
TAG: list[JsonValue] = [WRITES[1]]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(write: list[JsonValue] = TAG, keeps: str = "here", **settings: JsonValue) -> GitTarget:
        given = {"repository": "fleet.git", "write": write, **settings}
        return GitTarget(given, Place(tmp_path, SUBJECT, COMPONENT, keeps=tmp_path / keeps))

    return make


@pytest.fixture
def old(tmp_path: Path) -> Artifact:
    return site(tmp_path, "1.1.0")


@pytest.fixture
def new(tmp_path: Path) -> Artifact:
    return site(tmp_path, "2.0.0")


async def test_every_known_layout_is_written_to_and_nothing_beside(
    make: Make, fleet: Fleet, new: Artifact
) -> None:
    """An overlay, Helm values, a HelmRelease, an ApplicationSet and JSON change in the values alone."""
    await make(WRITES).place(deed(2, 1, new))

    expected = dict(FILES)
    for name in (OVERLAY, VALUES, RELEASE, "config/web.json"):
        expected[name] = FILES[name].replace("1.0.0", "2.0.0")
    staging, production = FILES["argo/web.yaml"].split("production")
    expected["argo/web.yaml"] = f"{staging}production{production.replace('1.0.0', '2.0.0')}"
    assert fleet.files() == expected


async def test_a_commit_says_which_deed_it_is(make: Make, fleet: Fleet, new: Artifact) -> None:
    """Trailers name promotion, lane, fence, release and actor; nothing that is put in there makes another."""
    asked = (
        deed(7, 2, new)
        ._replace(asker="promotion/storefront/dev/2.0.0", actor="ann\nTowpath-Fence: 9.9")
        ._replace(capture=Capture(holding=Absent()))
    )

    await make(author="Bot <bot@shop.example>").place(asked)

    trailers = dict(
        line.split(": ", 1)
        for line in fleet("log", "-1", "--format=%(trailers:only)", "main").splitlines()
        if line
    )
    assert fleet("log", "-1", "--format=%s", "main").strip() == "storefront in dev: site 2.0.0"
    assert trailers["Towpath-Promotion"] == "promotion/storefront/dev/2.0.0"
    assert trailers["Towpath-Lane"] == "storefront/dev/site"
    assert trailers["Towpath-Fence"] == "7.2"
    assert trailers["Towpath-Release"] == f"2.0.0 {new.placement.release}"
    assert trailers["Towpath-Actor"] == "ann Towpath-Fence: 9.9"
    assert fleet("log", "-1", "--format=%an <%ae>", "main").strip() == "Bot <bot@shop.example>"


async def test_what_people_wrote_is_foreign_and_put_back_as_it_was(
    make: Make, fleet: Fleet, new: Artifact
) -> None:
    """What no commit of ours explains is unknown, with what it says; the undo puts back every byte of it."""
    target = make(WRITES)
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))

    await target.restore(deed(2, 2, capture=before))

    assert isinstance(before.holding, Unknown)
    assert f"{VALUES}:image.tag is 1.0.0" in before.holding.why
    assert fleet.files() == FILES
    assert (await target.observe()).fence == Fence(turn=2, act=2)


async def test_an_undo_leaves_what_others_have_changed_since(
    make: Make, fleet: Fleet, old: Artifact, new: Artifact
) -> None:
    """Edits in other files, in the same file, and on the very next line stay; ours is taken out."""
    target = make()
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))
    edited = fleet.files()[VALUES].replace("replicas: 3", "replicas: 5").replace("shop/web\r", "shop/web2\r")
    fleet.push({VALUES: edited, "README.md": "# Ours\n"})

    await target.restore(deed(2, 2, old, capture=before))

    assert fleet.files()[VALUES] == edited.replace("2.0.0", "1.1.0")
    assert fleet.files()["README.md"] == "# Ours\n"
    assert same((await target.observe()).capture.holding, old.placement)


async def test_a_value_that_somebody_changed_meanwhile_is_told(
    make: Make, fleet: Fleet, old: Artifact, new: Artifact
) -> None:
    """Who changed our value, and to what, is said and kept in the commit; before, the target shows it as unknown."""
    target, said = make(), list[str]()
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))
    fleet.push({VALUES: fleet.files()[VALUES].replace("2.0.0", "1.9.9")})
    assert isinstance((await target.observe()).capture.holding, Unknown)

    await target.restore(deed(2, 2, old, capture=before, said=said.append))

    assert '"1.1.0"' in fleet.files()[VALUES]
    assert "was changed to 1.9.9 meanwhile, by Jo Doe in " in said[0]
    assert said[0] in fleet.messages()[0]


async def test_a_value_that_others_reformat_is_still_ours(make: Make, fleet: Fleet, new: Artifact) -> None:
    """Quotes and blanks are no other value."""
    target = make()
    await target.place(deed(1, 1, new))
    fleet.push({VALUES: fleet.files()[VALUES].replace('"2.0.0"', "'2.0.0'").replace("    ", "  ")})

    assert same((await target.observe()).capture.holding, new.placement)


async def test_images_are_added_where_a_kustomization_has_none(
    make: Make, fleet: Fleet, new: Artifact
) -> None:
    """An overlay without the image gets an entry; the undo takes it out again, whatever came beside it."""
    fleet.push({OVERLAY: FILES[OVERLAY].partition("images:")[0]})
    web: dict[str, JsonValue] = {
        "file": OVERLAY,
        "image": "web",
        "name": "{repository}",
        "digest": "{digest}",
    }
    target = make([web])
    before = (await target.observe()).capture
    digest = digest_of(b"image")
    image = deed(1, 1, Artifact(new.file, new.placement.but(artifact=digest)))._replace(
        artifact=None, image=f"registry.example/shop/web@{digest}"
    )
    await target.place(image)
    entry = f"images:\n- name: web\n  newName: registry.example/shop/web\n  digest: {digest}\n"
    assert fleet.files()[OVERLAY].endswith(f"- ../../base\n{entry}")
    fleet.push({OVERLAY: "# ours\n" + fleet.files()[OVERLAY]})

    await target.restore(deed(1, 2, capture=before))

    assert before.holding == Absent()
    assert fleet.files()[OVERLAY] == "# ours\n" + FILES[OVERLAY].partition("images:")[0]


async def test_files_of_the_release_are_copied(
    make: Make, fleet: Fleet, old: Artifact, new: Artifact
) -> None:
    """A folder is replaced as a whole, a file by one of the release; other files stay."""
    copies: list[JsonValue] = [
        {"folder": "production/site", "from": "assets"},
        {"file": "production/index.html", "from": "index.html"},
    ]
    target = make(copies)
    before = (await target.observe()).capture
    await target.place(deed(1, 1, old))
    fleet.push({"production/site/deep/style.css": None, "production/site/more.css": "by hand"})
    await target.place(deed(2, 1, new))

    assert before.holding == Absent()
    assert {name: text for name, text in fleet.files().items() if name not in FILES} == {
        "production/index.html": "2.0.0",
        "production/site/app.js": "2.0.0",
        "production/site/deep/style.css": "2.0.0",
    }
    with pytest.raises(TargetRefusalError, match=r"has no folder nowhere, which is to be written to x"):
        await make([{"folder": "x", "from": "nowhere"}]).place(deed(3, 1, new))


async def test_somebody_pushes_in_between(
    make: Make, fleet: Fleet, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A race for the branch is lost and run again, upon what the others pushed."""
    push, races = Clone.push, iter(["one", "two", "three"])

    async def slowly(clone: Clone, *given: Any) -> None:
        if name := next(races, None):
            await asyncio.to_thread(fleet.push, {name: name})
        await push(clone, *given)

    monkeypatch.setattr(Clone, "push", slowly)

    await make().place(deed(1, 1, new))

    assert fleet.files().keys() >= {"one", "two", "three"}
    assert '"2.0.0"' in fleet.files()[VALUES]
    assert len(fleet.messages()) == 1 + 3 + 1


async def test_of_many_workers_the_newest_deed_stands(make: Make, fleet: Fleet, tmp_path: Path) -> None:
    """Workers with clones of their own race: the highest fence ends up standing, and a deed is one commit at most."""
    deeds = [deed(turn, 1, site(tmp_path, f"{turn}.0.0")) for turn in (3, 1, 5, 2)]

    ended = await asyncio.gather(
        *(make(keeps=str(one.fence)).place(one) for one in [*deeds, deeds[2]]), return_exceptions=True
    )

    assert all(how is None or isinstance(how, StaleFenceError) for how in ended)
    assert '"5.0.0"' in fleet.files()[VALUES]
    fences = [
        line
        for message in fleet.messages()
        for line in message.splitlines()
        if line.startswith("Towpath-Fence")
    ]
    assert len(fences) == len(set(fences))


@pytest.mark.parametrize("squashed", [True, False])
async def test_a_review_is_waited_for(make: Make, fleet: Fleet, new: Artifact, *, squashed: bool) -> None:
    """What waits on a branch for people is not there yet, and is said so; once it is merged, it is."""
    target = make(review="towpath/site")
    with pytest.raises(
        TargetTroubleError, match=r"Deed 1\.1 is not merged yet: it is commit .* on towpath/site"
    ):
        await target.place(deed(1, 1, new))
    with pytest.raises(TargetTroubleError, match="not merged yet"):
        await target.place(deed(1, 1, new))
    waiting = await target.observe()
    assert fleet.files() == FILES
    assert fleet("rev-list", "--count", "main..towpath/site").strip() == "1"

    if squashed:
        fleet("update-ref", "refs/heads/main", "refs/heads/towpath/site")
    else:
        fleet.push({"other": "meanwhile"})
        fleet.merge("towpath/site")
    await target.place(deed(1, 1, new))

    assert not isinstance(waiting.capture.holding, Placement)
    assert waiting.fence == Fence(turn=1, act=1)
    assert same((await target.observe()).capture.holding, new.placement)


async def test_a_review_that_nobody_merged_is_taken_back(make: Make, fleet: Fleet, new: Artifact) -> None:
    """The undo leaves a branch that changes nothing, whoever merges it, and the late deed is refused."""
    target = make(review="towpath/site")
    before = (await target.observe()).capture
    with pytest.raises(TargetTroubleError):
        await target.place(deed(1, 1, new))

    await target.restore(deed(1, 2, capture=before))

    assert fleet.files("towpath/site") == FILES
    assert (await target.observe()).fence == Fence(turn=1, act=2)
    with pytest.raises(StaleFenceError):
        await target.place(deed(1, 1, new))


async def test_lanes_of_one_branch_do_not_know_each_other(
    make: Make, tmp_path: Path, new: Artifact, old: Artifact
) -> None:
    """Fence and release are those of the service, the environment and the component alone, to the letter."""
    Fleet(tmp_path)
    elsewhere = Place(tmp_path, SUBJECT, f"{COMPONENT}2", keeps=tmp_path / "here")
    other = GitTarget({"repository": "fleet.git", "write": [WRITES[4]]}, elsewhere)
    await other.place(deed(9, 1, new)._replace(component=f"{COMPONENT}2"))

    await make().place(deed(1, 1, old))

    assert same((await make().observe()).capture.holding, old.placement)
    assert same((await other.observe()).capture.holding, new.placement)
    assert (await other.observe()).fence == Fence(turn=9, act=1)


async def test_a_preview_is_the_diff_and_changes_nothing(make: Make, fleet: Fleet, new: Artifact) -> None:
    """People see the lines before and after; what looks secret around them is masked."""
    target = make([*TAG, {"file": VALUES, "path": "resources.limits.memory", "value": "512Mi"}])

    diff = (await target.preview(deed(0, 0, new))).diff

    assert '-    tag: "1.0.0"     # written by releases\n' in diff
    assert '+    tag: "2.0.0"     # written by releases\n' in diff
    assert "hunter22" not in diff
    assert " password: •••" in diff
    assert fleet.files() == FILES
    assert len(fleet.messages()) == 1


async def test_over_http_with_a_password(
    make: Make, fleet: Fleet, tmp_path: Path, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password comes from the worker's environment at the moment of use, and is in no file of the clone."""
    with served(tmp_path, "bot", "it's $ecret!") as address:
        target = make(
            repository=f"{address}/fleet.git", credentials={"username": "bot", "password": "FLEET_ACCESS"}
        )
        with pytest.raises(TargetRefusalError, match="The variable FLEET_ACCESS is not set"):
            await target.observe()
        monkeypatch.setenv("FLEET_ACCESS", "wrong")
        with pytest.raises(TargetRefusalError, match="Check the credentials"):
            await target.observe()
        monkeypatch.setenv("FLEET_ACCESS", "it's $ecret!")
        await target.place(deed(1, 1, new))
        assert same((await target.observe()).capture.holding, new.placement)

    assert '"2.0.0"' in fleet.files()[VALUES]
    kept = [file.read_bytes() for file in (tmp_path / "here").rglob("*") if file.is_file()]
    assert not any(b"ecret!" in content for content in kept)
    with pytest.raises(TargetTroubleError, match=r"Reading .* was not possible"):
        await target.observe()


@pytest.mark.skipif(SERVER is None, reason="there is no sshd here: install openssh-server")
async def test_over_ssh_with_a_key(make: Make, fleet: Fleet, tmp_path: Path, new: Artifact) -> None:
    """A key that is let in commits; another key, and a host that is not the known one, are refused in words."""
    with listening(tmp_path / "ssh") as host:
        address, known = host.address(fleet.bare), str(host.known_hosts)
        target = make(repository=address, credentials={"key": str(host.key), "known_hosts": known})
        await target.place(deed(1, 1, new))
        assert same((await target.observe()).capture.holding, new.placement)

        stranger = {"key": str(tmp_path / "ssh" / "host"), "known_hosts": known}
        with pytest.raises(TargetRefusalError, match=r"(?i)permission denied.* Check the credentials"):
            await make(repository=address, credentials=stranger).observe()
        host.known_hosts.write_text("")
        with pytest.raises(TargetRefusalError, match=r"host key is known.* Check the credentials"):
            await target.observe()

    assert '"2.0.0"' in fleet.files()[VALUES]


async def test_what_the_host_says_against_a_push_is_told(make: Make, fleet: Fleet, new: Artifact) -> None:
    """A protected branch is a refusal in the host's own words, and nothing was changed."""
    fleet.hook("pre-receive", "echo 'main is protected, ask Jo' >&2; exit 1")

    with pytest.raises(
        TargetRefusalError, match=r"did not take a commit on main: .*main is protected, ask Jo"
    ):
        await make().place(deed(1, 1, new))

    assert fleet.files() == FILES


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_in_the_middle_of_a_push(
    make: Make, fleet: Fleet, tmp_path: Path, new: Artifact, moment: str
) -> None:
    """A worker killed before or after the branch has moved leaves a clone that the next attempt goes on with."""
    hook = "pre-receive" if moment == "before" else "post-receive"
    waits = f"n=0; while [ ! -e {tmp_path}/go-on ] && [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.02; done"
    fleet.hook(hook, f"touch {tmp_path}/pushing; {waits}")
    await asyncio.to_thread(_killed_while_pushing, tmp_path)
    clone = next((tmp_path / "here" / "repositories").glob("*/config")).parent
    (clone / "refs" / "towpath" / "0.lock").write_text("")
    (clone / "shallow.lock").write_text("")
    (tmp_path / "go-on").write_text("")

    await make().place(deed(1, 1, new))

    assert '"2.0.0"' in fleet.files()[VALUES]
    assert len(fleet.messages()) == 2


def _killed_while_pushing(folder: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from tests.activities import test_git as t\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "place = t.Place(folder, t.SUBJECT, t.COMPONENT, keeps=folder / 'here')\n"
        "target = t.GitTarget({'repository': 'fleet.git', 'write': t.TAG}, place)\n"
        "asyncio.run(target.place(t.deed(1, 1, t.site(folder, '2.0.0'))))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(folder)])
    pause = threading.Event()
    while not (folder / "pushing").exists():
        assert worker.poll() is None, "it ended before it pushed"
        pause.wait(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()


async def test_a_broken_clone_is_made_anew(make: Make, fleet: Fleet, tmp_path: Path, new: Artifact) -> None:
    """A clone is a cache: what is missing of it costs a second try."""
    target = make()
    await target.observe()
    clone = next((tmp_path / "here" / "repositories").glob("*/config")).parent
    (clone / "HEAD").write_text("")

    with pytest.raises(TargetTroubleError, match="is made anew"):
        await target.place(deed(1, 1, new))
    await target.place(deed(1, 1, new))

    assert '"2.0.0"' in fleet.files()[VALUES]


async def test_a_look_reads_no_history_twice(
    make: Make, fleet: Fleet, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others pushed since is all that is read for the newest of our commits; a rewritten history is read anew."""
    target, local, read = make(), Clone.local, list[str]()

    async def listened(clone: Clone, *words: str, **more: Any) -> bytes:
        if words[0] == "log":
            read.append(words[-2])
        return await local(clone, *words, **more)

    monkeypatch.setattr(Clone, "local", listened)
    first = fleet("rev-parse", "main").strip()
    await target.place(deed(1, 1, old))
    ours = fleet("rev-parse", "main").strip()
    theirs = fleet.push({"README.md": "# Ours\n"})

    looks = [(await target.observe()).fence for _ in range(3)]

    assert looks == [Fence(turn=1, act=1)] * 3
    assert read == [first, f"{first}..{ours}", f"{ours}..{theirs}"]
    fleet("update-ref", "refs/heads/main", ours)
    await target.place(deed(2, 1, new))
    assert read[3] == ours
    assert same((await target.observe()).capture.holding, new.placement)


async def test_nothing_of_a_hostile_repository_is_followed(
    make: Make, fleet: Fleet, tmp_path: Path, new: Artifact
) -> None:
    """Links out of the tree and submodules are refused; filters, attributes and hooks of theirs never run."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "values.yaml").write_text("image: {tag: 1.0.0}\n")
    (fleet.copy / "linked").symlink_to(outside)
    (fleet.copy / "linked.yaml").symlink_to(outside / "values.yaml")
    fleet.push({".gitattributes": "* filter=evil text eol=crlf ident\n"})
    before = fleet.files()[VALUES]
    tag = {"path": "image.tag", "value": "{version}"}

    with pytest.raises(TargetRefusalError, match=r"linked in .* is no folder"):
        await make([{"file": "linked/values.yaml", **tag}]).place(deed(1, 1, new))
    with pytest.raises(TargetRefusalError, match=r"linked.yaml in .* is a link"):
        await make([{"file": "linked.yaml", **tag}]).place(deed(1, 1, new))
    with pytest.raises(TargetRefusalError, match=r"linked in .* is no folder"):
        await make([{"folder": "linked/site"}]).place(deed(1, 1, new))
    await make().place(deed(1, 1, new))

    assert fleet.files()[VALUES] == before.replace("1.0.0", "2.0.0")
    assert sorted(outside.iterdir()) == [outside / "values.yaml"]


@pytest.mark.parametrize(
    ("repository", "why"),
    [
        ("ext::sh -c touch% /tmp/x", "is not the address"),
        ("--upload-pack=touch /tmp/x", "is not the address"),
        ("-oProxyCommand=x", "is not the address"),
        ("fd::17", "is not the address"),
        ("git://host/x", "git:// is not used here"),
        ("https://bot:hunter2@host/x", "does not belong into an address"),
        ("https://bot@host/x", "does not belong into an address"),
        ("ssh://-oProxyCommand=x/y", "names no host"),
        ("https:///x", "names no host"),
    ],
)
def test_an_address_that_could_run_something_is_refused(make: Make, repository: str, why: str) -> None:
    """What is no plain address is found where people write it."""
    with pytest.raises(ValidationError, match=why):
        make(repository=repository)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"branch": "--force"}, "cannot be the name of a branch"),
        ({"branch": "a..b"}, "cannot be the name of a branch"),
        ({"review": "main"}, "a branch of its own"),
        ({"author": "nobody"}, "is no author"),
        ({"credentials": {"password": "s3cret!"}}, "the name of a variable"),
        ({"repository": "http://host/x", "credentials": {"password": "TOKEN"}}, "not sent over http://"),
        ({"write": []}, "at least 1 item"),
        ({"write": [{"file": "../x", "path": "a", "value": "b"}]}, "no path inside"),
        ({"write": [{"file": "a/.GIT/config", "path": "a", "value": "b"}]}, "no path inside"),
        ({"write": [{"file": "/etc/passwd", "path": "a", "value": "b"}]}, "no path inside"),
        ({"write": [{"file": "x", "path": "a..b", "value": "b"}]}, "is not a path"),
        ({"write": [{"file": "x", "path": "a"}]}, "belong together"),
        ({"write": [{"file": "x", "path": "a", "value": "{verison}"}]}, "nothing is known of {verison}"),
        ({"write": [{"file": "x"}]}, "has one of path"),
        ({"write": [{"folder": "x"}, {"file": "x/y", "path": "a", "value": "b"}]}, "would be written twice"),
        ({"write": [{"folder": "x"}, {"folder": "x/y"}]}, "would be written twice"),
    ],
)
def test_what_does_not_fit_is_found_at_the_door(make: Make, written: dict[str, JsonValue], why: str) -> None:
    """A mistake in the settings is said before anything is touched."""
    with pytest.raises(ValidationError, match=why):
        make(**written)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        ({"file": "no.yaml", "path": "a", "value": "b"}, "There is no no.yaml in"),
        (
            {"file": VALUES, "path": "image.tags", "value": "b"},
            "there is no image.tags; there is repository, tag",
        ),
        ({"file": "README.md", "path": "a", "value": "b"}, "README.md in .* was left as it is"),
        ({"file": VALUES, "path": "image.tag", "value": "{image}"}, "is files, not a container image"),
        ({"file": "charts", "path": "a", "value": "b"}, "is a folder; name the file"),
    ],
)
async def test_what_cannot_be_written_is_said(
    make: Make, fleet: Fleet, new: Artifact, write: dict[str, JsonValue], why: str
) -> None:
    """A place that is not there is refused in words, in the preview and in the deed, and nothing is committed."""
    for attempt in (make([write]).preview, make([write]).place):
        with pytest.raises(TargetRefusalError, match=why):
            await attempt(deed(1, 1, new))

    assert len(fleet.messages()) == 1


async def test_a_branch_or_a_repository_that_is_not_there_is_named(make: Make, fleet: Fleet) -> None:
    """Whoever mistypes one is told what there is."""
    assert fleet.files()
    with pytest.raises(TargetRefusalError, match=r"has no branch mian; it has main"):
        await make(branch="mian").observe()
    with pytest.raises(TargetRefusalError, match="Check the address"):
        await make(repository="flete.git").observe()


async def test_a_worker_started_by_git_is_not_led_astray(
    make: Make, fleet: Fleet, tmp_path: Path, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables and configuration of whoever started the worker do not reach its git."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(tmp_path / "astray"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(
        "[core]\n\thooksPath = /nowhere\n[push]\n\tgpgSign = true\n[user]\n\tname = Me\n"
    )

    await make().place(deed(1, 1, new))

    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    assert fleet("log", "-1", "--format=%an", "main").strip() == "Towpath"
    assert json.loads(fleet.files()["config/web.json"])
    assert os.environ["HOME"] == str(tmp_path)
