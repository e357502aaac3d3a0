"""A gate of TLS before a real Temporal server: Caddy, which asks for a client certificate, or for an API key."""

import asyncio
import ipaddress
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from workers.server import free_port

API_KEY: Final = "k3y-0f-the-tests"
GONE: Final = timedelta(days=-1)


class Authority:
    """Signs certificates for this machine, each in a file beside its key: ``NAME.pem`` and ``NAME.key``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / f"{name}.pem"
        made = self._begun(self._name, self._key, timedelta(days=2))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def sign(self, name: str, lasts: timedelta = timedelta(days=1)) -> dict[str, str]:
        """Return the variables that name a new certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = self._begun(_named(name), key, lasts)
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        file = self._folder / f"{name}.pem"
        file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        file.with_suffix(".key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return {
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(file),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(file.with_suffix(".key")),
        }

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + lasts)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Gate(NamedTuple):
    """Where the server is to be reached, and what opens which door of it."""

    by_certificate: str
    by_key: str
    expired: str
    """Its certificate is no longer valid."""
    plain: str
    """The server itself, without TLS."""
    authority: Authority
    stranger: Authority

    @property
    def trust(self) -> dict[str, str]:
        return {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(self.authority.certificate)}


@asynccontextmanager
async def gate_before(server: str, folder: Path) -> AsyncIterator[Gate]:
    """Run the gate while the block runs."""
    by_certificate, by_key, expired = addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    authorities = Authority(folder, "authority"), Authority(folder, "stranger")
    gate = Gate(by_certificate, by_key, expired, server, *authorities)
    gate.authority.sign("server")
    gate.authority.sign("expired", GONE)
    configuration = folder / "caddy.json"
    configuration.write_text(json.dumps(_configured(gate, folder)))
    with (folder / "caddy.log").open("wb") as log:
        caddy = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("caddy"), "run", "--config", configuration),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"HOME": str(folder)},
            start_new_session=True,
        )
    try:
        await asyncio.gather(*map(_until_open, addresses))
        yield gate
    finally:
        caddy.terminate()
        await caddy.wait()


def _configured(gate: Gate, folder: Path) -> Mapping[str, Any]:
    through = {
        "handler": "reverse_proxy",
        "transport": {"protocol": "http", "versions": ["h2c"]},
        "upstreams": [{"dial": gate.plain}],
    }
    # As Temporal Cloud says it: by a status of gRPC's own, in an answer of 200.
    refused = {
        "handler": "static_response",
        "status_code": 200,
        "headers": {
            "Content-Type": ["application/grpc"],
            "Grpc-Status": ["16"],
            "Grpc-Message": ["Request unauthorized."],
        },
    }
    has_key = {"header": {"Authorization": [f"Bearer {API_KEY}"]}}
    wants_certificate = {
        "client_authentication": {
            "mode": "require_and_verify",
            "ca": {"provider": "file", "pem_files": [str(gate.authority.certificate)]},
        }
    }
    certificates = [
        {"certificate": f"{folder / name}.pem", "key": f"{folder / name}.key", "tags": [name]}
        for name in ("server", "expired")
    ]
    servers = {
        "certificate": _door(gate.by_certificate, "server", [{"handle": [through]}], wants_certificate),
        "key": _door(
            gate.by_key, "server", [{"match": [has_key], "handle": [through]}, {"handle": [refused]}]
        ),
        "expired": _door(gate.expired, "expired", [{"handle": [through]}]),
    }
    return {
        "admin": {"disabled": True},
        "apps": {"tls": {"certificates": {"load_files": certificates}}, "http": {"servers": servers}},
    }


def _door(
    address: str, certificate: str, routes: list[Any], policy: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    return {
        "listen": [address],
        "protocols": ["h1", "h2"],
        "automatic_https": {"disable": True},
        "strict_sni_host": False,
        "tls_connection_policies": [{"certificate_selection": {"any_tag": [certificate]}, **(policy or {})}],
        "routes": routes,
    }


async def _until_open(address: str) -> None:
    host, _, port = address.partition(":")
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
