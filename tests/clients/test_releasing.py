"""Making releases at the command line, from what is elsewhere."""

from hashlib import sha256
from pathlib import Path

from activities.releases import read_release
from activities.stores import open_store
from domain.outcome import Exit
from tests.activities.test_sources import SITE, tar_of
from tests.activities.trees import File, grow
from tests.activities.web_server import DIGEST, Answer, registry_server, serving
from tests.clients.conftest import CommandLine

SERVICE = b"""
service: shop
components:
  site: {kind: content}
  web: {kind: application}
environments:
  dev:
    site: {target: directory, root: live}
    web: {target: command, deploy: [deploy]}
"""


def configured(folder: Path) -> None:
    grow(
        folder,
        {
            "towpath.yaml": File(b"store: store\n"),
            "environments": {"dev.yaml": File(b"environment: dev\n")},
            "services": {"shop.yaml": File(SERVICE)},
        },
    )


async def test_release_of_a_download_and_an_image(offline: CommandLine, tmp_path: Path) -> None:
    """An archive comes from a web server, an image is looked for in its registry; both are in the release."""
    configured(tmp_path)
    archive = tar_of(grow(tmp_path / "site", SITE), tmp_path / "site.tgz").read_bytes()
    digest = sha256(archive).hexdigest()

    with serving(lambda _path, _headers: Answer(200, archive)) as web, registry_server() as registry:
        site = f"site={web}/site.tgz#sha256={digest}"
        image = f"web=oci://{registry}/shop/web@{DIGEST}"
        made = await offline.type("release", "create", "shop", "1", "--component", site, "--component", image)
        missing = image.replace(DIGEST, f"sha256:{'0' * 64}")
        refused = await offline.type("release", "create", "shop", "2", "--component", missing)

    assert made.code == 0, made.said
    assert f"web (application): the image {registry}/shop/web@{DIGEST}" in made.said
    assert "nobody has seen" not in made.said
    release = await read_release(open_store("store", tmp_path), "shop", "1")
    from_folder = await offline.type(
        "release", "create", "shop", "3", "--component", f"site={tmp_path / 'site'}"
    )
    assert from_folder.code == 0
    third = await read_release(open_store("store", tmp_path), "shop", "3")
    assert release.component("site") == third.component("site")
    assert refused.code == Exit.REFUSED
    assert "There is no image 00000000 in shop/web" in refused.said
    shown = await offline.type("release", "show", "shop", "1")
    assert f"the image {registry}/shop/web@{DIGEST}" in shown.said


async def test_registry_that_is_away_does_not_stop_a_release(offline: CommandLine, tmp_path: Path) -> None:
    """Where the registry cannot be asked, that is said, and the image is recorded."""
    configured(tmp_path)

    made = await offline.type(
        "release", "create", "shop", "1", "--component", f"web=oci://127.0.0.1:9/shop/web@{DIGEST}"
    )

    assert made.code == 0
    assert "nobody has seen whether it has shop/web" in made.err.replace("\n", " ")


async def test_what_promises_too_little_is_a_mistake_of_usage(offline: CommandLine, tmp_path: Path) -> None:
    """A tag, an address without a digest, and another scheme are refused before anything is asked for."""
    configured(tmp_path)
    for source, why in {
        "oci://registry.example/shop/web:1": "names an image by a tag",
        "https://builds.example/site.tgz": "write the digest that it must have behind it",
        "file:///etc/passwd": "Nothing is fetched by file://",
        "FTP://builds.example/site.tgz#sha256=0": "Nothing is fetched by FTP://",
    }.items():
        ran = await offline.type("release", "create", "shop", "1", "--component", f"site={source}")

        assert ran.code == Exit.USAGE
        assert why in ran.said
