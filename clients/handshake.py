"""Why TLS, or an API key, does not get us to the Temporal server: which side is to be mended, and how.

The engine's library tells what it thinks of the server's certificate. What the server thinks of ours it often does
not: with TLS 1.3 that comes after the handshake, and is lost where we have begun to write. So the question is put
once more, by a connection that only listens.
"""

import asyncio
import contextlib
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from temporalio.envconfig import ClientConnectConfig
from temporalio.service import TLSConfig

from clients.trouble import ClientError, NoServerError, UsageError

WITHIN: Final = 3.0
"""Seconds, for a server to say what it thinks of us."""

CA: Final = "TEMPORAL_TLS_SERVER_CA_CERT_PATH"
PAIR: Final = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
KEY: Final = "TEMPORAL_API_KEY"
OR_PROFILE: Final = "or in the profile"
GREETED: Final = "greeted"
_NOBODY_THERE: Final = ("Connection refused", "dns error", "timed out")
_ABOUT_US: Final = (
    "CERTIFICATEREQUIRED",
    "CERTIFICATEEXPIRED",
    "CERTIFICATEUNKNOWN",
    "BADCERTIFICATE",
    "UNKNOWNCA",
    "ACCESSDENIED",
    "HANDSHAKEFAILURE",
)
"""Alerts that a server sends for what we showed, or did not."""
NO_PAIR: Final = "Must have both client cert and private key"


class Asked(NamedTuple):
    """A server that could not be used: its address, who named it, and what it was asked with."""

    address: str
    source: str
    config: ClientConnectConfig

    @property
    def named(self) -> str:
        return f"{self.address} ({self.source})"

    @property
    def tls(self) -> TLSConfig | None:
        """What is said about TLS; None where nothing switches it on."""
        said = self.config.get("tls")
        if isinstance(said, TLSConfig):
            return said
        by_key = said is None and self.config.get("api_key") is not None
        return TLSConfig() if said or by_key else None


async def explain_connection(asked: Asked, why: str) -> ClientError | None:
    """Say in words what is wrong with TLS or the API key; None where it is neither."""
    return (
        _said_of_our_pair(why)
        or _said_by_us(asked, why)
        or say_not_let_in(asked.address, why, has_key=bool(asked.config.get("api_key")))
        or await _said_by_server(asked, why)
    )


def say_not_let_in(address: str, why: str, *, has_key: bool) -> ClientError | None:
    """Say what to do where the server knows who we are not, or who we are and that we may not."""
    if "Unauthenticated" in why:
        what = (
            "does not accept our API key" if has_key else "wants to know who we are, and we bring no API key"
        )
        remedy = f"Set {KEY} to one that is valid, or api_key in the profile"
    elif "PermissionDenied" in why:
        what = "knows us, and does not let us in"
        remedy = f"See that what we show ({KEY}, or the client certificate) may use the namespace in TEMPORAL_NAMESPACE"
    else:
        return None
    return NoServerError(
        f"The Temporal server on {address} {what}. {remedy}: a new one comes from whoever runs it."
    )


def _said_by_us(asked: Asked, why: str) -> ClientError | None:
    """What our own library found, of the server's certificate."""
    if "UnknownIssuer" in why or "BadSignature" in why:
        has_ca = asked.tls and asked.tls.server_root_ca_cert
        trouble = (
            f"not of the authority that {CA} names" if has_ca else "of an authority that is not known here"
        )
        remedy = "Name the right one there" if has_ca else f"Name that authority's certificate in {CA}"
        return NoServerError(
            f"The certificate of the Temporal server on {asked.named} is {trouble}. {remedy}, {OR_PROFILE}: a PEM file "
            "that you get from whoever runs the server."
        )
    if "InvalidCertificate(Expired" in why or "InvalidCertificate(NotValidYet" in why:
        when = "has expired" if "Expired" in why else "is not valid yet"
        return NoServerError(
            f"The certificate of the Temporal server on {asked.named} {when}. Whoever runs the server has to renew it; "
            "see first that the clock of this machine is right."
        )
    if "NotValidForName" in why:
        return NoServerError(
            f"The certificate of the Temporal server on {asked.named} is for another name. Reach it by a name that "
            "it is for, or say that name in TEMPORAL_TLS_SERVER_NAME."
        )
    if "InvalidContentType" in why:
        by = KEY if asked.config.get("api_key") else "a TEMPORAL_TLS_… variable or the profile"
        return NoServerError(
            f"The Temporal server on {asked.named} does not speak TLS, which {by} has switched on. If that is as it "
            "should be, set TEMPORAL_TLS=false; if not, correct the address."
        )
    return None


def _said_of_our_pair(why: str) -> ClientError | None:
    if NO_PAIR in why:
        return UsageError(
            f"A client certificate goes with its private key, and only one of them is named: name both, in {PAIR}, "
            f"{OR_PROFILE}."
        )
    if "InconsistentKeys" in why:
        return UsageError(
            f"Our client certificate and its key do not belong together: correct {PAIR}, or the profile."
        )
    if "NoCertificatesPresented" in why or "PrivateKey" in why:
        return UsageError(
            f"Our client certificate or its key is no PEM file: correct {PAIR}, or the profile."
        )
    return None


async def _said_by_server(asked: Asked, why: str) -> ClientError | None:
    """What the server thinks of us. It is asked again where the connection broke without a word of it."""
    if any(mark in why for mark in _NOBODY_THERE):
        return None
    said = why if "fatal alert" in why else await asyncio.to_thread(_listen, asked)
    if asked.tls is None:
        return _say_untold_tls(asked) if said else None
    alert = said.upper().replace("_", "")
    if not any(mark in alert for mark in _ABOUT_US):
        return None
    if not asked.tls.client_cert:
        return NoServerError(
            f"The Temporal server on {asked.named} wants a client certificate, and none is named. Name it and its key "
            f"in {PAIR}, {OR_PROFILE}."
        )
    trouble = "it is not of an authority that the server knows"
    if "EXPIRED" in alert:
        trouble = f"it has expired{_since(asked.tls)}"
    return NoServerError(
        f"The Temporal server on {asked.named} does not accept our client certificate: {trouble}. Get a new one from "
        f"whoever runs the server, and name it and its key in {PAIR}, {OR_PROFILE}."
    )


def _say_untold_tls(asked: Asked) -> ClientError:
    return NoServerError(
        f"The Temporal server on {asked.named} speaks TLS, and nothing says that we should. Set TEMPORAL_TLS=true, "
        "or begin a tls section in the profile."
    )


def _since(tls: TLSConfig) -> str:
    with contextlib.suppress(ValueError):
        from cryptography import x509  # noqa: PLC0415 - every command would load it, and hardly any wants it

        return f" on {x509.load_pem_x509_certificate(tls.client_cert or b'').not_valid_after_utc:%Y-%m-%d}"
    return ""


def _listen(asked: Asked) -> str:
    """Shake hands, write nothing, and return the server's alert; that it ``GREETED`` us; or nothing."""
    host, _, port = asked.address.rpartition(":")
    host = host.strip("[]")
    tls = asked.tls or TLSConfig()
    try:
        with (
            _prepared(tls) as context,
            socket.create_connection((host, int(port)), WITHIN) as plain,
            context.wrap_socket(plain, server_hostname=tls.domain or host) as shaken,
        ):
            return _first_word(shaken)
    except ssl.SSLError as error:
        return str(error.reason) if "ALERT" in str(error.reason) else ""
    except (OSError, ValueError):
        return ""


def _first_word(shaken: ssl.SSLSocket) -> str:
    try:
        return GREETED if shaken.recv(1) else ""
    except TimeoutError:
        return GREETED


@contextmanager
def _prepared(tls: TLSConfig) -> Iterator[ssl.SSLContext]:
    """Trust whoever answers: what is wanted is what they think of us, and nothing is told them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if tls.client_cert and tls.client_private_key:
        # Python's library reads a pair from a file alone; the folder is nobody else's, and is gone at once.
        with tempfile.TemporaryDirectory(prefix="towpath-") as folder:
            pair = Path(folder) / "pair.pem"
            pair.write_bytes(tls.client_cert + b"\n" + tls.client_private_key)
            context.load_cert_chain(pair)
    yield context
