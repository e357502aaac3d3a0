"""Whether roles are given to somebody, and whether those who are to approve have theirs."""

from collections.abc import Iterator

from domain.configuration import Configuration
from domain.configuration_files import SIGNERS_FILE
from domain.fault import Fault
from domain.group_faults import unknown_groups
from domain.names import Subject
from domain.roles import ASKS_FOR, OF_THE_ENVIRONMENT, Level, Role, names_of
from domain.signers import FIX, has_key

_ENVIRONMENTS_OWN = frozenset(ASKS_FOR[door] for door in OF_THE_ENVIRONMENT)


def role_faults(configuration: Configuration) -> Iterator[Fault]:
    """Find roles of groups that are not there, of nobody or of who cannot sign, and too few who may approve."""
    for name in configuration.environments:
        for level in configuration.levels(name):
            yield from _level_faults(configuration, level, is_signed=configuration.is_signed(name))
    for service, file in configuration.services.items():
        for environment in file.environments:
            if environment in configuration.environments:
                subject = Subject(service=service, environment=environment)
                yield from _service_faults(configuration, subject)


def _level_faults(configuration: Configuration, level: Level, *, is_signed: bool) -> Iterator[Fault]:
    for role, holders in level.roles.written.items():
        spot = level.spot.below(role.value)
        yield from (unknown := list(unknown_groups(configuration, spot.below("from"), holders.groups)))
        names, signers = names_of(holders, configuration.members), configuration.signers
        without = [name for name in names if is_signed and signers is not None and not has_key(name, signers)]
        if without:
            yield Fault(
                spot,
                f"{', '.join(without)} cannot sign, and so cannot use this role: {SIGNERS_FILE} has no key of theirs",
                FIX,
                is_warning=True,
            )
        if not unknown and not names:
            yield Fault(
                spot,
                f"nobody has the role {role} here, so nobody may do what it is asked for",
                "name groups, as from: [on-call], or people, or leave the role out: everybody has it then",
                is_warning=True,
            )


def _service_faults(configuration: Configuration, subject: Subject) -> Iterator[Fault]:
    *_, own = configuration.levels(subject.environment, subject.service)
    is_signed = configuration.is_signed(subject.environment, subject.service)
    yield from _level_faults(configuration, own, is_signed=is_signed)
    for role in _ENVIRONMENTS_OWN & own.roles.written.keys():
        yield Fault(
            own.spot.below(role.value),
            f"{role} is about the whole environment, and no service says who may do that",
            f"write it in environments/{subject.environment}.yaml, or leave it out",
        )
    levels = configuration.levels(subject.environment, subject.service)
    written = next((level for level in reversed(levels) if level.roles.approve), None)
    if written is None:
        return
    terms = configuration.approval(subject)
    too_few = next((one for one in terms.quorums if len(one.approvers) < one.quorum), None)
    if too_few:
        yield Fault(
            written.spot.below(Role.APPROVE.value),
            f"{too_few.quorum} must approve {subject}, and of those who are asked only these have the role: "
            f"{', '.join(too_few.approvers) or 'nobody'}",
            "give the role to the groups that approval is asked of, or leave it out: approval says who approves",
        )
