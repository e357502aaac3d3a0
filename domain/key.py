"""Which key made a signature: one person may have several names, and has no second voice by them.

OpenSSH is asked whose key it is; this only tells one key from another. The format is its PROTOCOL.sshsig.
"""

import base64
import binascii
from typing import Final

from domain.value import digest_of

_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "\n-----END SSH SIGNATURE-----"
_MAGIC: Final = b"SSHSIG\0\0\0\1"
_CERTIFIED: Final = "-cert-v01@openssh.com"
_FIELDS: Final = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
"""How many fields a public key has after its type."""


def key_of(armored: str) -> str:
    """Return a digest of the public key in a signature, the same with a certificate as without; else nothing.

    It proves nothing: whoever believes it has had the signature checked.
    """
    within = armored.partition(_BEGIN)[2].partition(_END)[0]
    try:
        signature = base64.b64decode("".join(within.split()))
        blob, _ = _string(signature.removeprefix(_MAGIC))
        kind, *fields = _strings(blob)
    except (binascii.Error, ValueError):
        return ""
    name = kind.decode("ascii", "replace")
    plain = name.removesuffix(_CERTIFIED).removesuffix("@openssh.com")
    nonces = 1 if name.endswith(_CERTIFIED) else 0
    count = _FIELDS.get(plain, len(fields))
    # A number may be written with zeros before it, and is the same number.
    numbers = [field.lstrip(b"\0").hex() for field in fields[nonces : nonces + count]]
    return digest_of("\n".join((plain, *numbers)).encode())


def _strings(blob: bytes) -> list[bytes]:
    """Return what stands at the beginning in the form of strings; a certificate has other things after that."""
    found: list[bytes] = []
    while blob:
        try:
            one, blob = _string(blob)
        except ValueError:
            break
        found.append(one)
    return found


def _string(content: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(content[:4], "big")
    if len(content) < 4 + length or len(content) < 4:
        raise ValueError
    return content[4 : 4 + length], content[4 + length :]
