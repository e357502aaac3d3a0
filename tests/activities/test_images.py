"""Releases that name container images: read, looked for, recorded, brought to a target, and refused to others."""

import asyncio
import os
import shutil
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from activities.archive import Archive
from activities.around import Engine
from activities.clock import SystemClock
from activities.comparing import look_into, side_of_release
from activities.drawing import Drawing
from activities.gatehouse import Gatehouse
from activities.keyring import make_key
from activities.logbook import Logbook
from activities.registry import ImageRefusedError, look_for
from activities.releases import Brought, ReleaseRefusedError, bring, create_release, read_release
from domain.actor import Actor, Channel
from domain.environment import Placement
from domain.image import Image, read_image
from domain.names import Subject
from domain.release import Component, Kind
from domain.terms import Proposal, Request
from tests.activities.trees import File, grow
from tests.activities.web_server import DIGEST, MANIFEST, registry_server
from tests.fakes import MemoryStore
from workers.settings import surroundings
from workers.wiring import tools

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEB = Image("registry.example:5000", "shop/web", DIGEST)


@pytest.mark.parametrize("name", ["registry.example", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "A.b"])
def test_image_is_read_as_it_is_said(name: str) -> None:
    """An image by its digest is read with its scheme and without, and said as container tools take it."""
    image = read_image(f"oci://{name}/shop/web_1.x/a--b@{DIGEST}")

    assert image == Image(name, "shop/web_1.x/a--b", DIGEST)
    assert read_image(str(image)) == image


@pytest.mark.parametrize("name", ["shop/web", "shop/web:1.2", "shop/web:latest@" + DIGEST])
def test_tag_is_refused_with_the_way_to_the_digest(name: str) -> None:
    """A tag moves: whoever names one is told which command prints its digest."""
    with pytest.raises(
        ValueError, match=r"another image tomorrow.*docker buildx imagetools inspect"
    ) as refused:
        read_image(f"oci://registry.example/{name}")

    tagged = name.partition("@")[0] if ":" in name.partition("@")[0] else f"{name}:TAG"
    assert f"--format '{{{{.Digest}}}}' docker://registry.example/{tagged}`" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"oci://shop@{DIGEST}",
        f"oci:///shop/web@{DIGEST}",
        f"oci://ana:hunter2@registry.example/shop/web@{DIGEST}",
        f"oci://registry.example/Shop@{DIGEST}",
        f"oci://registry.example/../etc@{DIGEST}",
        f"oci://registry.example/shop?x@{DIGEST}",
        f"oci://registry.example/shop/web@{DIGEST}\n",
        f"oci://registry.example/shop/web@{DIGEST.upper()}",
        "oci://registry.example/shop/web@sha256:12",
        f"oci://registry.example/{'x' * 500}@{DIGEST}",
    ],
)
def test_what_names_no_image_is_refused(text: str) -> None:
    """What is not a registry, a repository and a digest is refused in a sentence."""
    with pytest.raises(ValueError, match=r"names no image: write oci://|is no digest of an image"):
        read_image(text)


async def test_registry_that_has_the_image_proves_it() -> None:
    """What it gives is hashed, by way of the token that it gives to anybody; what is missing or forged is refused."""
    with registry_server() as name:
        assert await look_for(Image(name, "shop/web", DIGEST)) == ""
        with pytest.raises(ImageRefusedError, match="There is no image 00000000 in shop/web"):
            await look_for(Image(name, "shop/web", f"sha256:{'0' * 64}"))
        with pytest.raises(ImageRefusedError, match=f"gave another image for {DIGEST[7:15]} of shop/forged"):
            await look_for(Image(name, "shop/forged", DIGEST))


async def test_registry_that_cannot_be_asked_is_said() -> None:
    """Where nobody answers, or only those are answered who log in, that is said, and nothing is refused."""
    with registry_server(closed=True) as name:
        assert "asks for credentials" in await look_for(Image(name, "shop/web", DIGEST))
    away = await look_for(Image("127.0.0.1:9", "shop/web", DIGEST))
    assert away.startswith("127.0.0.1:9 could not be asked: ")
    assert away.endswith(f"so nobody has seen whether it has shop/web@{DIGEST[7:15]}.")


def test_real_registry_is_understood(tmp_path: Path) -> None:
    """Debian's docker-registry, where it is installed, gives the manifest that was pushed."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: no real registry was asked")
    folder, port = tmp_path / "registry", 20_000 + os.getpid() % 20_000
    (tmp_path / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(tmp_path / "registry.yml")], stdout=log, stderr=log)
    try:
        push = urllib.request.Request(
            f"http://127.0.0.1:{port}/v2/shop/web/manifests/1",
            MANIFEST,
            {"Content-Type": "application/vnd.oci.image.index.v1+json"},
            method="PUT",
        )
        for _ in range(100):
            try:
                urllib.request.urlopen(push, timeout=10).close()
                break
            except OSError:
                time.sleep(0.05)

        assert asyncio.run(look_for(Image(f"127.0.0.1:{port}", "shop/web", DIGEST))) == ""
    finally:
        process.terminate()
        process.wait(10)


async def test_image_is_recorded_and_not_copied(tmp_path: Path) -> None:
    """A release of an image and a folder names both; only the folder is in the store. The name is its content."""
    store = MemoryStore()
    site = grow(tmp_path / "site", {"index.html": File(b"hello")})
    parts: dict[str, tuple[Kind, Path | Image]] = {
        "web": (Kind.APPLICATION, WEB),
        "site": (Kind.CONTENT, site),
    }

    made = await create_release(store, "shop", "1", parts, now=NOW)
    again = await create_release(store, "shop", "1", parts, now=NOW)

    assert (made.new, again.new) == (True, False)
    web = (await read_release(store, "shop", "1")).component("web")
    assert web == Component(name="web", kind=Kind.APPLICATION, artifact=DIGEST, size=0, image=str(WEB))
    assert len(await store.list("artifact")) == 1
    elsewhere = {**parts, "web": (Kind.APPLICATION, WEB._replace(registry="mirror.example"))}
    with pytest.raises(ReleaseRefusedError, match="stored already with other content"):
        await create_release(store, "shop", "1", elsewhere, now=NOW)


def test_image_has_the_digest_that_is_said() -> None:
    """A manifest that names one digest and the image of another is not believed."""
    with pytest.raises(ValidationError, match="has another digest"):
        Component(name="web", kind=Kind.CONTENT, artifact=f"sha256:{'0' * 64}", size=0, image=str(WEB))


async def test_target_is_brought_the_image_its_release_names(tmp_path: Path) -> None:
    """What a placement names is found again by its release; what that does not say is not made up."""
    store = MemoryStore()
    made = await create_release(store, "shop", "1", {"web": (Kind.APPLICATION, WEB)}, now=NOW)
    placed = Placement(version="1", release=made.release.digest(), artifact=DIGEST)

    assert await bring(store, "shop", "web", placed, tmp_path) == Brought(None, str(WEB))
    for other in (
        placed.but(release=f"sha256:{'0' * 64}"),
        placed.but(artifact=f"sha256:{'0' * 64}"),
        placed.but(version="2"),
    ):
        with pytest.raises(ReleaseRefusedError, match="is not in the release store"):
            await bring(store, "shop", "web", other, tmp_path)


SERVICE = """
service: shop
components:
  web: {kind: application}
environments:
  dev:
    web: {target: directory, root: live}
  staging:
    web: {target: command, deploy: ["true"], observe: [echo, '{"held": null}']}
"""


async def test_target_that_takes_files_refuses_an_image_in_its_plan(tmp_path: Path) -> None:
    """The plan of a directory says no before anything is done; that of a command has nothing against it."""
    place = surroundings(tmp_path, {})
    grow(tmp_path, {"services": {"shop.yaml": File(SERVICE.encode())}, "environments": {}})
    (tmp_path / "towpath.yaml").write_text("store: store\n")
    for environment in ("dev", "staging"):
        key = make_key(place.keys, environment)
        text = f"environment: {environment}\nkey: {key}\n"
        (tmp_path / "environments" / f"{environment}.yaml").write_text(text)
    said: dict[str, tuple[str, ...]] = {}
    for environment in ("dev", "staging"):
        chosen = tools(place, environment, SystemClock())
        if environment == "dev":
            await create_release(chosen.store, "shop", "1", {"web": (Kind.APPLICATION, WEB)}, now=NOW)
        archive = Archive(chosen.store, chosen.seals)
        ana = Actor(name="ana", channel=Channel.UPDATE)
        request = Request(subject=Subject(service="shop", environment=environment), version="1", actor=ana)
        gatehouse = Gatehouse(chosen, archive, Engine(), Logbook(chosen, archive))
        sealed = await Drawing(chosen, archive, gatehouse).propose(request)
        said[environment] = archive.unseal(sealed, environment, Proposal).refusals

    assert said["staging"] == ()
    assert " ".join(said["dev"]) == (
        f"web is the image {WEB}, and its target directory takes files only: give it a target that takes "
        "images, such as command or git"
    )


async def test_images_are_compared_by_their_digests(tmp_path: Path) -> None:
    """Of two releases of an image it is said that it is another; nothing is looked for in the store."""
    store = MemoryStore()
    other = WEB._replace(digest=f"sha256:{'0' * 64}")
    one, two = [
        (await create_release(store, "shop", version, {"web": (Kind.APPLICATION, image)}, now=NOW)).release
        for version, image in (("1", WEB), ("2", other))
    ]

    found = await look_into(
        store, "shop", side_of_release(one), side_of_release(two), tmp_path, content=False
    )

    assert [(part.before, part.after, part.files) for part in found.components] == [
        (DIGEST, other.digest, ())
    ]
