"""Whether those who must sign can: the names in ``allowed_signers``, held against who approves where."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import REVOKED_KEYS_FILE, SIGNERS_FILE, environment_file, service_file
from domain.fault import Fault, Spot
from domain.names import Subject
from domain.statement import Purpose

FIX = f"add a line to {SIGNERS_FILE}: the name and the public key, as in `bo@example.com ssh-ed25519 AAAA…`"
LOST: Final = f"add a line to {SIGNERS_FILE} with a new key of theirs, or take them out of the group"

_KEY: Final = re.compile(r"\s(?P<kind>(?:sk-)?(?:ssh|ecdsa)-\S+)\s+(?P<key>AAAA\S+)")
_OPTION: Final = re.compile(r'(?P<name>[a-z-]+)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s,]+))', re.IGNORECASE)
_TIMES: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""By how many digits each is written in."""
_FIRST_FIELD: Final = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>\S+)')


class KeyLine(NamedTuple):
    """What a line of ``allowed_signers`` says of a key: whose it is, until when, and what for."""

    names: tuple[str, ...]
    kind: str
    key: str
    until: datetime | None
    namespaces: tuple[str, ...]

    def signs(self, purpose: str) -> bool:
        return not self.namespaces or any(fnmatchcase(purpose, one) for one in self.namespaces)

    def has_ended(self, now: datetime) -> bool:
        return self.until is not None and self.until <= now


def key_lines(text: str) -> Iterator[KeyLine]:
    """Yield each line that gives a key, an authority's too: whose own is lost certifies nobody any more."""
    for line in _lines(text):
        if found := _KEY.search(line):
            options = {
                one["name"].lower(): one["quoted"] or one["plain"] or ""
                for one in _OPTION.finditer(line[: found.start()])
            }
            namespaces = tuple(filter(None, options.get("namespaces", "").split(",")))
            yield KeyLine(
                _names(line),
                found["kind"],
                found["key"],
                _moment(options.get("valid-before", "")),
                namespaces,
            )


def _moment(written: str) -> datetime | None:
    """Read a time as OpenSSH does, which is asked in UTC; of what is none OpenSSH takes no key."""
    digits = written.removesuffix("Z")
    try:
        return datetime.strptime(digits, _TIMES[len(digits)]).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None


def names_in(text: str) -> tuple[str, ...]:
    """Return the names, or patterns of names, that an ``allowed_signers`` file gives keys to."""
    return tuple(dict.fromkeys(name for line in _lines(text) for name in _names(line)))


def keys_in(text: str) -> dict[str, tuple[str, ...]]:
    """Return each public key of an ``allowed_signers`` file with its names, authorities' left out."""
    keys: dict[str, tuple[str, ...]] = {}
    for line in _lines(text):
        found = _KEY.search(line)
        if found and "cert-authority" not in line[: found.start()]:
            key = found["key"]
            keys[key] = (*keys.get(key, ()), *_names(line))
    return keys


def _lines(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def _names(line: str) -> tuple[str, ...]:
    found = _FIRST_FIELD.match(line)
    field = (found["quoted"] or found["plain"] or "") if found else ""
    return tuple(name for name in field.split(",") if name)


def signer_faults(configuration: Configuration) -> Iterator[Fault]:
    """Find where decisions are to be signed, and those who decide have no key."""
    said: set[Spot] = set()
    for subject, spot in _signing(configuration):
        if spot not in said:
            said.add(spot)
            yield from _missing(configuration, subject, spot)


def shared_key_faults(configuration: Configuration, keys: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Warn where several of those who decide have one key between them: it has one voice."""
    told: set[tuple[str, ...]] = set()
    for subject, spot in _signing(configuration):
        people = configuration.approval(subject).policy(None).people
        for patterns in keys.values():
            holders = tuple(one for one in people if has_key(one, patterns))
            if len(holders) > 1 and holders not in told:
                told.add(holders)
                yield Fault(
                    spot,
                    f"{' and '.join(holders)} have one key between them in {SIGNERS_FILE}, and a key has one voice",
                    "give each a key of their own, or take one name out of the group",
                    is_warning=True,
                )


def lost_key_faults(
    configuration: Configuration, lines: Sequence[KeyLine], revoked: Container[str], now: datetime
) -> Iterator[Fault]:
    """Warn of who is to sign decisions, had keys for it, and has none any more."""
    who = dict.fromkeys(
        (spot, name)
        for subject, spot in _signing(configuration)
        for name in configuration.approval(subject).policy(None).people
    )
    for spot, name in who:
        theirs = [one for one in lines if one.signs(Purpose.DECISION) and has_key(name, one.names)]
        if theirs and all(one.key in revoked or one.has_ended(now) for one in theirs):
            why = f"{name} cannot sign any more: {_lost(theirs, revoked)}"
            yield Fault(spot, why, LOST, is_warning=True)


def _lost(lines: Sequence[KeyLine], revoked: Container[str]) -> str:
    gone = [one.key in revoked for one in lines]
    whose = "their key" if len(lines) == 1 else "each key of theirs"
    if all(gone):
        return f"{whose} is in {REVOKED_KEYS_FILE}"
    ended = f"{whose} has ended in {SIGNERS_FILE}"
    return f"{ended}, or is in {REVOKED_KEYS_FILE}" if any(gone) else ended


def _signing(configuration: Configuration) -> Iterator[tuple[Subject, Spot]]:
    """Yield where decisions are signed, each with the place that says so."""
    for name, service in configuration.services.items():
        for environment in service.environments:
            if environment in configuration.environments:
                subject = Subject(service=name, environment=environment)
                if configuration.approval(subject).signed:
                    yield subject, _where(configuration, subject)


def _where(configuration: Configuration, subject: Subject) -> Spot:
    """Return the place that says that decisions are signed."""
    floor: Approval | None = configuration.environments[subject.environment].approval
    if floor and floor.signed:
        return Spot(environment_file(subject.environment), ("approval", "signed"))
    return Spot(service_file(subject.service), ("environments", subject.environment, "approval", "signed"))


def _missing(configuration: Configuration, subject: Subject, spot: Spot) -> Iterator[Fault]:
    approval, signers = configuration.approval(subject), configuration.signers
    if signers is None:
        yield Fault(
            spot, f"there is no {SIGNERS_FILE} beside towpath.yaml, so nobody's signature would count", FIX
        )
        return
    without = [name for name in approval.policy(None).people if not has_key(name, signers)]
    if not without:
        return
    too_few = any(len(set(one.approvers) - {*without}) < one.quorum for one in approval.quorums)
    yield Fault(
        spot,
        f"{', '.join(without)} cannot sign: {SIGNERS_FILE} has no key of theirs",
        FIX,
        is_warning=not too_few,
    )


def has_key(name: str, signers: Iterable[str]) -> bool:
    """Tell whether ``allowed_signers`` gives this person a key."""
    return any(fnmatchcase(name, pattern) for pattern in signers)
