"""Keeping secrets out of whatever a program prints."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from domain.secrecy import is_called_secret, passwords_in

MASK: Final = "•••"
_SHORTEST: Final = 4


def secrets_in(variables: Mapping[str, str]) -> frozenset[str]:
    """Return what looks secret in an environment: values by their variable's name, passwords in addresses.

    Paths and what is under four characters are left alone: masking those would garble what is no secret.
    """
    return frozenset(secret for secret in _suspects(variables) if len(secret) >= _SHORTEST)


def _suspects(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        yield from passwords_in(value)
        if is_called_secret(name, value):
            yield value
            yield from map(str.strip, value.splitlines())  # programs print line by line


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return the text without these values; the longest goes first, since one may contain another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
