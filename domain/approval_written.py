"""How people write who must approve: quorums, groups, levels of risk, pivots and hotfixes, and whom it keeps apart."""

from typing import Final

from pydantic import Field, model_validator

from domain.approval import Party
from domain.names import Identifier
from domain.risk import Risk
from domain.value import Duration, SomeTime, Value

APPROVE: Final = "approve"


class FurtherQuorum(Value):
    """One more quorum beside the first: ``quorum`` people out of the groups in ``from``."""

    quorum: int = Field(default=1, ge=1, le=50)
    groups: tuple[Identifier, ...] = Field(alias="from", min_length=1)


class Escalation(Value):
    """Whom to ask as well when people have been waited for ``after`` so long: the groups in ``to``."""

    after: Duration
    groups: tuple[Identifier, ...] = Field(alias="to", min_length=1)


class ApprovalAtRisk(Value):
    """Who approves: ``quorum`` people out of the groups in ``from``. The floor says what is not written."""

    quorum: int | None = Field(default=None, ge=0, le=50)
    groups: tuple[Identifier, ...] = Field(default=(), alias="from")
    wait: SomeTime | None = None
    valid: SomeTime | None = None
    also: tuple[FurtherQuorum, ...] | None = Field(default=None, max_length=10)
    """What has to be had as well. A service's stand beside its environment's, and take none of those away."""
    escalate: tuple[Escalation, ...] | None = Field(default=None, max_length=10)
    """Who else may be one of the first quorum, after a while."""


class Approval(ApprovalAtRisk):
    """Who approves, and by how much is at stake who else, or nobody."""

    remind: Duration | None = None
    """How long approvers are left alone before the first reminder; ``0s`` is for ever."""
    signed: bool | None = None
    """Whether only decisions with a good OpenSSH signature count, on requests with one."""
    separate: tuple[Party, ...] | None = None
    """Whose own decisions do not count: by default the requester's. A service may only add to its environment's."""
    low: ApprovalAtRisk | None = None
    medium: ApprovalAtRisk | None = None
    high: ApprovalAtRisk | None = None

    @property
    def levels(self) -> dict[Risk, ApprovalAtRisk]:
        """Return what is asked at some levels of risk and not at others."""
        asked = {Risk.LOW: self.low, Risk.MEDIUM: self.medium, Risk.HIGH: self.high}
        return {level: approval for level, approval in asked.items() if approval}

    def at(self, risk: Risk | None) -> "Approval":
        """Return what is asked at this risk: what its own line does not say is said by the others."""
        own = self.levels.get(risk) if risk else None
        if own is None:
            return self
        written = {name: getattr(own, name) for name in type(own).model_fields}
        del written["groups"]
        said = {name: value for name, value in written.items() if value is not None}
        return self.but(**said, groups=own.groups or self.groups)


class PivotApproval(Value):
    """Who approves what cannot be undone. As a word, ``approve`` is one of those who approve anything here."""

    quorum: int = Field(default=1, ge=1, le=50)
    groups: tuple[Identifier, ...] = Field(default=(), alias="from")

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, written: object) -> object:
        if isinstance(written, str) and written != APPROVE:
            message = f"“{written}” says nothing here; write approve, or {{quorum: 2, from: [group]}}"
            raise ValueError(message)
        return {} if written == APPROVE else written


class Hotfix(ApprovalAtRisk):
    """A shorter way in, for what cannot wait: who approves, and how long it soaks. The usual way says the rest.

    Without ``quorum`` one person does, of those who approve anything here.
    """

    soak: Duration | None = None


def separate(floor: Approval | None, asked: Approval | None = None) -> tuple[Party, ...]:
    """Return whose own decisions do not count: whom the environment keeps apart, and whom the service adds."""
    kept = (Party.REQUESTER,) if floor is None or floor.separate is None else floor.separate
    added = (asked.separate if asked else None) or ()
    return tuple(party for party in Party if party in {*kept, *added})
