"""Whether those who must sign can: the names in ``allowed_signers``, held against who approves where."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import SIGNERS_FILE, environment_file, service_file
from domain.fault import Fault, Spot
from domain.names import Subject

FIX = f"add a line to {SIGNERS_FILE}: the name and the public key, as in `bo@example.com ssh-ed25519 AAAA…`"


def names_in(text: str) -> tuple[str, ...]:
    """Return the names, or patterns of names, that an ``allowed_signers`` file gives keys to."""
    lines = (line.strip() for line in text.splitlines())
    fields = (_first_field(line) for line in lines if line and not line.startswith("#"))
    return tuple(dict.fromkeys(name for field in fields for name in field.split(",") if name))


def _first_field(line: str) -> str:
    return line[1:].partition('"')[0] if line.startswith('"') else line.split(maxsplit=1)[0]


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
