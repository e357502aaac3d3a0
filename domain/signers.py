"""Whether those who must sign can: the names in ``allowed_signers``, held against who approves where."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import SIGNERS_FILE, environment_file, service_file
from domain.fault import Fault, Spot
from domain.names import Subject

FIX = f"add a line to {SIGNERS_FILE}: the name and the public key, as in `bo@example.com ssh-ed25519 AAAA…`"


_KEY: Final = re.compile(r"\s(?:sk-)?(?:ssh|ecdsa)-\S+\s+(?P<key>AAAA\S+)")
_FIRST_FIELD: Final = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>\S+)')


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
    for name, service in configuration.services.items():
        for environment in service.environments:
            if environment not in configuration.environments:
                continue
            subject = Subject(service=name, environment=environment)
            spot = _where(configuration, subject)
            if configuration.approval(subject).signed and spot not in said:
                said.add(spot)
                yield from _missing(configuration, subject, spot)


def shared_key_faults(configuration: Configuration, keys: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Warn where several of those who decide have one key between them: it has one voice."""
    told: set[tuple[str, ...]] = set()
    for name, service in configuration.services.items():
        for environment in service.environments:
            if environment not in configuration.environments:
                continue
            subject = Subject(service=name, environment=environment)
            approval = configuration.approval(subject)
            people = approval.policy(None).people if approval.signed else ()
            for patterns in keys.values():
                holders = tuple(one for one in people if has_key(one, patterns))
                if len(holders) > 1 and holders not in told:
                    told.add(holders)
                    yield Fault(
                        _where(configuration, subject),
                        f"{' and '.join(holders)} have one key between them in {SIGNERS_FILE}, and a key has one voice",
                        "give each a key of their own, or take one name out of the group",
                        is_warning=True,
                    )


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
