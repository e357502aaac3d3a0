"""Asking a registry whether it has an image. Nothing of the image but its manifest is fetched."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import httpx

from domain.image import Image
from domain.value import short

_LARGEST: Final = 4 << 20
"""What registries take for a manifest at most."""
_PATIENCE: Final = 10.0
_REDIRECTS: Final = 5
_ACCEPT: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')


class ImageRefusedError(Exception):
    """The registry does not have the image. The text is a sentence for people."""


async def look_for(image: Image) -> str:
    """Return nothing where the registry has the image, or a sentence about why it could not be asked.

    Raises ``ImageRefusedError`` where it says that it has not, or has another in its place.
    """
    limits = httpx.Timeout(_PATIENCE)
    try:
        async with httpx.AsyncClient(
            timeout=limits, follow_redirects=True, max_redirects=_REDIRECTS
        ) as client:
            status, content = await _manifest(client, image, {})
            if isinstance(content, str):
                token = await _token(client, image, content)
                status, content = await _manifest(client, image, token)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return _unasked(image, f"could not be asked: {str(error)[:200] or type(error).__name__}")
    return _judge(image, status, content)


def _judge(image: Image, status: int, content: bytes | str) -> str:
    if status == httpx.codes.NOT_FOUND:
        raise ImageRefusedError(
            f"There is no image {short(image.digest)} in {image.repository} at {image.registry}. Push it first, or "
            "check its digest: the one of the index, where it is built for several platforms, not its id."
        )
    if isinstance(content, str):
        return _unasked(image, "asks for credentials, which Towpath does not have")
    if status != httpx.codes.OK:
        return _unasked(image, f"answered {status}")
    found = f"sha256:{sha256(content).hexdigest()}"
    if found != image.digest:
        raise ImageRefusedError(
            f"{image.registry} gave another image for {short(image.digest)} of {image.repository}: its digest is "
            f"{short(found)}. Do not trust that registry until somebody has found out why."
        )
    return ""


def _unasked(image: Image, why: str) -> str:
    return (
        f"{image.registry} {why}; so nobody has seen whether it has {image.repository}@{short(image.digest)}."
    )


async def _manifest(
    client: httpx.AsyncClient, image: Image, more: Mapping[str, str]
) -> tuple[int, bytes | str]:
    """Return the status and the manifest, or, in its place, what the registry says of its credentials."""
    url = f"{_base(image)}/v2/{image.repository}/manifests/{image.digest}"
    async with client.stream(
        "GET", url, headers={"Accept": _ACCEPT, "Accept-Encoding": "identity", **more}
    ) as answer:
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            return answer.status_code, answer.headers.get("WWW-Authenticate", "")
        return answer.status_code, await _bounded(answer)


async def _bounded(answer: httpx.Response) -> bytes:
    content = b""
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) > _LARGEST:
            message = f"its answer is longer than {_LARGEST >> 20} MiB"
            raise ValueError(message)
    return content


async def _token(client: httpx.AsyncClient, image: Image, challenge: str) -> dict[str, str]:
    """Ask for the token that most public registries give to anybody; none where that is not offered."""
    offered = dict(_CHALLENGE.findall(challenge))
    realm = offered.get("realm", "")
    trusted = realm.startswith("https://") or (_is_here(image) and realm.startswith(f"{_base(image)}/"))
    if not (challenge.lower().startswith("bearer ") and trusted):
        return {}
    asked = {"service": offered.get("service", ""), "scope": f"repository:{image.repository}:pull"}
    async with client.stream("GET", realm, params=asked, headers={"Accept-Encoding": "identity"}) as answer:
        content = await _bounded(answer)
    if answer.status_code != httpx.codes.OK:
        return {}
    said = json.loads(content)
    token = (said.get("token") or said.get("access_token")) if isinstance(said, dict) else None
    return {"Authorization": f"Bearer {token}"} if isinstance(token, str) else {}


def _is_here(image: Image) -> bool:
    return re.sub(r":\d+$", "", image.registry) in _HERE


def _base(image: Image) -> str:
    """As container tools do: without TLS on this machine alone."""
    return f"{'http' if _is_here(image) else 'https'}://{image.registry}"
