"""One value of a text is changed, and not a letter beside it."""

import json
from io import StringIO
from typing import Final

import pytest
from hypothesis import given, reject
from hypothesis import strategies as some
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from activities.yaml_edits import get, put, put_as_in, put_beside, put_item
from activities.yaml_paths import Index, Key, Match, read_path, say_path
from activities.yaml_places import NoPlaceError, read_text

KUSTOMIZATION: Final = """\
# which image production runs
apiVersion: kustomize.config.k8s.io/v1beta1
kind:   Kustomization
resources: [ ../../base ]   # odd   spacing
images:
  - name: registry.example/shop/web
    newTag: 1.4.0 # {"$imagepolicy": "fleet:web:tag"}
  - name: registry.example/shop/api
    digest: sha256:aaaa
"""
SEVERAL: Final = """\
%YAML 1.1
---
kind: Deployment
metadata: {name: web, labels: {"app.example/version": '1.4.0'}}
spec: {template: {spec: {containers: [{name: web, image: "web:1.4.0"}, {name: log, image: log}]}}}
...
---
kind: Service
metadata:
  name: web
spec: &spec
  version: !text 1.4.0
  notes: |
    version: 1.4.0
  again: *spec
"""


@pytest.mark.parametrize(
    ("text", "path", "document", "value", "line"),
    [
        (KUSTOMIZATION, "images[name=registry.example/shop/web].newTag", {}, "1.5.0", "newTag: 1.5.0 # {"),
        (KUSTOMIZATION, "images[1].digest", {}, "sha256:bbbb", "digest: sha256:bbbb\n"),
        (KUSTOMIZATION, "resources[0]", {}, "../base", "resources: [ ../base ]   # odd"),
        (SEVERAL, "spec.template.spec.containers[name=web].image", {}, "web:2", 'name: web, image: "web:2"}'),
        (SEVERAL, 'metadata.labels."app.example/version"', {}, "2.0", "version\": '2.0'}"),
        (SEVERAL, "metadata.name", {"kind": "Service"}, "shop", "  name: shop"),
        (SEVERAL, "spec.version", {"metadata.name": "web", "kind": "Service"}, "1.5.0", "!text 1.5.0"),
    ],
)
def test_the_value_is_changed_and_nothing_else(
    text: str, path: str, document: dict[str, str], value: str, line: str
) -> None:
    """Comments, order, quotes, blanks, anchors and other documents stay, with any line end and without a last one."""
    for before in (text, text.replace("\n", "\r\n"), text.removesuffix("\n")):
        after = put(before, read_path(path), document, value)

        assert get(after, read_path(path), document) == value
        assert put(after, read_path(path), document, get(before, read_path(path), document) or "") == before
        assert after.count("\n") == before.count("\n")
        assert line.strip() in after
        assert len(set(before.splitlines()) - set(after.splitlines())) == 1


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        ("1.0", "1.10", '"1.10"'),
        ("1.4.0", "1.5.0", "1.5.0"),
        ("'a'", "it's", "'it''s'"),
        ('"a"', 'say "x" \\', '"say \\"x\\" \\\\"'),
        ("a", "yes", '"yes"'),
        ("a", "2024-05-01", '"2024-05-01"'),
        ("a", "1e3", '"1e3"'),
        ("a", "0123", '"0123"'),
        ("a", "1:30", '"1:30"'),
        ("a", "a: b", '"a: b"'),
        ("a", "a #b", '"a #b"'),
        ("a", "", '""'),
        ("41", "42", "42"),
        ("~", "x", "x"),
        ("a", 3, "3"),
        ("a", True, "true"),
    ],
)
def test_a_text_stays_a_text_for_every_reader(old: str, new: str | int, written: str) -> None:
    """What an old reader would take for a number, a date or a yes goes into quotes; quotes stay as they were."""
    assert put(f"tag: {old} # c\n", read_path("tag"), {}, new) == f"tag: {written} # c\n"


@pytest.mark.parametrize("text", ["tag:\nb: 1\n", "tag: # c\nb: 1\n", "{tag: , b: 1}", "tag:"])
def test_what_is_empty_is_filled(text: str) -> None:
    """A key with nothing behind it gets its value right there."""
    after = put(text, read_path("tag"), {}, "1.5.0")

    assert after == text.replace("tag:", "tag: 1.5.0", 1).replace("1.5.0 ,", "1.5.0 ,")


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("a: 1\n", "b", "there is no b; there is a"),
        ("a: {b: 1}\n", "a", "is a mapping, not a single value"),
        ("a: |\n  x\n", "a", "over several lines"),
        ("a: x\n  y\n", "a", "over several lines"),
        ("a: 1\na: 2\n", "a", "is there 2 times"),
        ("a: [{n: x, v: 1}, {n: x, v: 2}]\n", "a[n=x].v", "is there 2 times"),
        ("a: 1\n---\na: 2\n", "a", "2 documents in it have a"),
        ("x: &x {v: 1}\na: *x\n", "a.v", "is an alias, *x"),
        ("x: &x {v: 1}\na:\n  <<: *x\n", "a.v", "what << may bring"),
        ("{{ if .Values.x }}\na: 1\n{{ end }}\n", "a", "it is not YAML"),
        ("a: [1\n", "a", "it is not YAML"),
        ("", "a", "it is empty"),
        ("[" * 300, "a", "it is"),
    ],
)
def test_what_cannot_be_told_is_refused(text: str, path: str, why: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(NoPlaceError, match=why.replace("*", r"\*")):
        put(text, read_path(path), {}, "2")


def test_an_alias_follows_what_it_stands_for() -> None:
    """What is anchored is changed in its one place, and the anchor stays."""
    assert put("a: &v 1.4.0\nb: *v\n", read_path("a"), {}, "1.5.0") == "a: &v 1.5.0\nb: *v\n"


RELEASE: Final = """\
---
kind: HelmRelease
metadata:
  name: &app films
spec:
  values:
    controllers:
      *app :
        containers:
          - name: *app
            tag: 1.4.0
    service: {app: {controller: *app}}
---
kind: HelmRelease
metadata: {name: other}
spec: {values: {controllers: {films: {containers: [{name: films, tag: 1.4.0}]}}}}
---
kind: {{ this is no YAML }
"""


def test_an_alias_is_what_it_stands_for_wherever_it_leads_the_way() -> None:
    """As a key, and in an entry's name, it is found by what it says; other documents need not even be readable."""
    path = read_path("spec.values.controllers.films.containers[name=films].tag")

    assert put(RELEASE, path, {"metadata.name": "films"}, "1.5.0") == RELEASE.replace("1.4.0", "1.5.0", 1)
    for anchor in ("controllers.app.containers[0].tag", "controllers.films.containers[name=app].tag"):
        with pytest.raises(NoPlaceError):
            put(RELEASE, read_path(f"spec.values.{anchor}"), {"metadata.name": "films"}, "1.5.0")


def test_one_document_of_many_is_changed_and_the_others_are_not_read() -> None:
    """A file of a thousand documents is no more work than the one that is meant; its lines are told as they are."""
    many = "".join(
        f"---\nkind: Role\nmetadata: {{name: role-{number}}}\nrules: [a]\n" for number in range(1000)
    )
    text = many + "---\nkind: Deployment\nmetadata: {name: web}\nimage: web:1\n"
    read_text.cache_clear()

    assert put(text, read_path("image"), {"kind": "Deployment"}, "web:2") == text.replace("web:1", "web:2")
    assert read_text.cache_info().misses == 2
    with pytest.raises(NoPlaceError, match="line 5: it is not YAML"):
        put("a: 1\n---\nb:\n  - c\n  d: [\n", read_path("b"), {}, "x")


def test_keys_and_entries_are_added_in_the_style_around() -> None:
    """What is missing in a list of images gets lines of its own, indented as its neighbours are."""
    with_digest = put_beside(
        KUSTOMIZATION, read_path("images[name=registry.example/shop/web].name"), {}, {"digest": "sha256:b"}
    )
    with_entry = put_item(KUSTOMIZATION, "images", {"name": "new", "newTag": "1.0"})

    assert "shop/web\n    digest: sha256:b\n    newTag" in with_digest
    assert with_entry == KUSTOMIZATION + '  - name: new\n    newTag: "1.0"\n'
    assert (
        put_item("a: 1", "images", {"name": "new", "newTag": "v1"})
        == "a: 1\nimages:\n- name: new\n  newTag: v1"
    )


@pytest.mark.parametrize("written", ["3", "3.0", "true", "~", "'3'", '"3"', "*three", "three"])
def test_what_is_put_back_is_what_it_was(written: str) -> None:
    """An undo makes no text of a number, a truth, an alias or nothing, and keeps their quotes."""
    before = f"x: &three 3\nreplicas: {written}  # ours\nnext: 1\n"
    now = before.replace(f"replicas: {written}", "replicas: 5").replace("next: 1", "next: 2")

    after = put_as_in(now, read_path("replicas"), {}, before)

    assert after == before.replace("next: 1", "next: 2")
    assert put_as_in("replicas:\n", read_path("replicas"), {}, before.replace("*three", "0")) == (
        f"replicas: {written.replace('*three', '0')}\n"
    )


def test_what_cannot_be_put_back_as_it_was_is_refused() -> None:
    """An alias of what is not there, or a text that needs the lines around it, is no value here."""
    for before in ("x: &x 1\na: *x\n", "a: 1, 2\n"):
        with pytest.raises(NoPlaceError):
            put_as_in("{a: 3}\n", read_path("a"), {}, before)


def test_json_stays_json() -> None:
    """Tabs, one line or many: the value is replaced as JSON writes it."""
    text = '{\n\t"image": {"tag":\t"1.4.0", "n": 1}\n}\n'

    after = put(text, read_path("image.tag"), {}, "1.10", is_json=True)

    assert after == text.replace("1.4.0", "1.10")
    assert json.loads(after)["image"]["tag"] == "1.10"


PLAIN = some.text(some.sampled_from("abz019._-/:@+ #'\"\\{}[],&*!|>%~=?\té€"), max_size=12)
KEYS = some.text("abz09_-. ", max_size=6)
TREES = some.recursive(
    PLAIN | some.integers() | some.booleans() | some.none(),
    lambda below: some.lists(below, max_size=4) | some.dictionaries(KEYS, below, max_size=4),
    max_leaves=8,
)


VERSIONS = ("1.1", "1.2")


def read_as(version: str, text: str) -> dict[str, object]:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    read: dict[str, object] = reader.load(text)
    return read


@given(TREES, PLAIN, some.sampled_from([True, False, None]), some.integers(1, 6))
def test_whatever_stands_around_it_stays(tree: object, value: str, flow: object, indent: int) -> None:
    """Any text may be written beside anything: old and new readers find it, and find all else as it was."""
    writer = YAML()
    writer.default_flow_style = flow
    writer.indent(mapping=indent + 1, sequence=indent + 3, offset=indent)
    stream = StringIO()
    writer.dump({"before": tree, "list": [{"name": "x", "tag": "old"}], "after": tree}, stream)
    text = stream.getvalue()
    try:
        was = [read_as(version, text) for version in VERSIONS]
    except YAMLError:
        reject()  # the writer has written what a reader does not take, such as {a: ?0}

    after = put(text, read_path("list[name=x].tag"), {}, value)

    expected = [before | {"list": [{"name": "x", "tag": value}]} for before in was]
    assert [read_as(version, after) for version in VERSIONS] == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "spec.containers[name=web].image",
            (Key("spec"), Key("containers"), Match("name", "web"), Key("image")),
        ),
        ("[0].a-b", (Index(0), Key("a-b"))),
        ('labels."a.b/c"[12]', (Key("labels"), Key("a.b/c"), Index(12))),
        ("l['a.b'][ x = 'y]' ]", (Key("l"), Key("a.b"), Match("x", "y]"))),
    ],
)
def test_paths_are_read_and_said(text: str, path: tuple[object, ...]) -> None:
    """A path that was said is the same path when it is read."""
    assert read_path(text) == path
    assert read_path(say_path(read_path(text))) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", ".a", "a.", "a[", "a[x", "a]", 'a."b', "[a]", "a[-1]", "a b.[0]"]
)
def test_what_is_no_path_is_said(text: str) -> None:
    """A mistyped path is refused with the way to write one."""
    with pytest.raises(ValueError, match="is not a path"):
        read_path(text)
