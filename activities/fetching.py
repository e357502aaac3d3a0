"""Fetching an archive from a web server: only what has the digest that was named, and never more than may be.

Blocks: call it by ``asyncio.to_thread``.
"""

import re
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from activities.packing import appearing
from activities.portability import shown
from domain.value import short

SCHEMES: Final = ("https://", "http://")
_FRAGMENT: Final = re.compile(r"sha256=([0-9a-fA-F]{64})")
_REDIRECTS: Final = 5
_PATIENCE: Final = 30.0
_SHOWN: Final = 200


class FetchRefusedError(Exception):
    """An archive was not fetched. Why, and what to do next, are said without a full stop."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(f"{why}. {remedy}")
        self.why = why
        self.remedy = remedy


class Download(NamedTuple):
    """Where an archive is, and what it must be."""

    url: str
    digest: str

    @property
    def name(self) -> str:
        """Return the file's name, which says what kind of archive it is."""
        return urlsplit(self.url).path.rpartition("/")[2]

    def __str__(self) -> str:
        """Say where it is, without what may be a secret in it."""
        split = urlsplit(self.url)
        return shown(f"{split.scheme}://{split.netloc}{split.path}")


def read_download(text: str) -> Download:
    """Read ``https://HOST/ARCHIVE#sha256=DIGEST``. Raises ``ValueError`` with a sentence."""
    try:
        url, split = httpx.URL(text), urlsplit(text)
        known = Download(split._replace(fragment="").geturl(), "")
    except (httpx.InvalidURL, ValueError) as error:
        message = f"“{shown(text[:_SHOWN])}” is not an address: {error}"
        raise ValueError(message) from error
    if url.scheme not in {"http", "https"} or not url.host:
        message = f"“{shown(text[:_SHOWN])}” is not an address such as https://builds.example/site.tar.gz"
        raise ValueError(message)
    if url.userinfo:
        message = (
            "an address with a name or a password in it was not used, as others may see it: fetch the archive "
            "yourself, and give its path"
        )
        raise ValueError(message)
    digest = _FRAGMENT.fullmatch(split.fragment)
    if not digest:
        message = (
            f"“{known}” may hold another archive tomorrow: write the digest that it must have behind it, as "
            f"{known}#sha256=…; `sha256sum` prints it of a file that you have checked"
        )
        raise ValueError(message)
    return known._replace(digest=f"sha256:{digest[1].lower()}")


def fetch(wanted: Download, into: Path, most: int) -> None:
    """Write the archive to ``into``, once its digest is known to be right. Raises ``FetchRefusedError``."""
    try:
        with httpx.Client(timeout=_PATIENCE) as client:
            _fetch(client, wanted, into, most)
    except httpx.HTTPError as error:
        why = f"could not be fetched: {shown(str(error)[:_SHOWN]) or type(error).__name__}"
        raise FetchRefusedError(why, "Check the address, and that it can be reached from here") from error


def _fetch(client: httpx.Client, wanted: Download, into: Path, most: int) -> None:
    request = client.build_request("GET", wanted.url, headers={"Accept-Encoding": "identity"})
    for _ in range(_REDIRECTS + 1):
        answer = client.send(request, stream=True)
        try:
            following = answer.next_request
            if following is None:
                _check_status(answer)
                _write(answer, wanted, into, most)
                return
        finally:
            answer.close()
        check_way(request.url, following.url)
        request = following
    why = f"leads on and on, more than {_REDIRECTS} times"
    raise FetchRefusedError(why, "Give the address that it ends at")


def _check_status(answer: httpx.Response) -> None:
    if answer.status_code != httpx.codes.OK:
        why = f"was answered by {answer.status_code} {shown(answer.reason_phrase)}".rstrip()
        raise FetchRefusedError(why, "Check the address, and whether one has to log in there")


def check_way(before: httpx.URL, after: httpx.URL) -> None:
    """Raise ``FetchRefusedError`` where a redirect leads away from the web, or out of TLS."""
    if after.scheme not in {"http", "https"} or (before.scheme, after.scheme) == ("https", "http"):
        why = f"leads on to {shown(after.scheme)}://{shown(after.host)}, away from the web or from TLS"
        raise FetchRefusedError(why, "Give the address that it should end at")


def _write(answer: httpx.Response, wanted: Download, into: Path, most: int) -> None:
    promised = answer.headers.get("Content-Length", "")
    if promised.isdecimal() and int(promised) > most:
        raise _too_much(most)
    checksum, size = sha256(), 0
    with appearing(into) as file:
        for piece in answer.iter_raw():
            size += len(piece)
            if size > most:
                raise _too_much(most)
            checksum.update(piece)
            file.write(piece)
        found = f"sha256:{checksum.hexdigest()}"
        if found != wanted.digest:
            why = f"should be {short(wanted.digest)}, and what is there is {short(found)}"
            raise FetchRefusedError(why, "Check the digest; if it is right, do not trust what is there")


def _too_much(most: int) -> FetchRefusedError:
    remedy = "If that is right, fetch and unfold it yourself, and pack the folder"
    return FetchRefusedError(f"is larger than {most:,} bytes, more than an archive may be", remedy)
