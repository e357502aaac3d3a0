"""What the outside world must be able to do for us.

Adapters live in folders beside this file, a module each, registered by one line in a literal dict. A port never
names an engine: what it raises is said here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import JsonValue

from domain.configuration import Configuration
from domain.dossier import Waypoint
from domain.environment import Holding, Placement
from domain.fence import Fence
from domain.journal import Capture
from domain.names import Subject
from domain.notice import Event, Notice
from domain.plan import Step, Undo
from domain.release import Release
from domain.statement import Statement
from domain.terms import Sealed
from domain.value import Value


class TargetRefusalError(Exception):
    """The target understood and will not do it: asking again changes nothing. The text is a sentence for people."""


class TargetTroubleError(Exception):
    """The target could not do it this time: asking again may help. The text is a sentence for people."""


class StaleFenceError(Exception):
    """The target has seen a newer fence: this deed comes too late, and nothing was changed."""


class Observation(NamedTuple):
    """What a target holds now, the newest fence it has seen, and its own note of how to put this back."""

    capture: Capture
    fence: Fence | None


class Undone(NamedTuple):
    """What an undo takes away, with its artifact or image: the way down is often packed with the way up."""

    placement: Placement
    artifact: Path | None
    image: str = ""


class Deed(NamedTuple):
    """What a target is asked to make true, once: the same fence twice is the same deed."""

    subject: Subject
    component: str
    fence: Fence
    after: Holding
    artifact: Path | None
    """The artifact as a tar file, its digest verified; None where nothing or an image is to stand there."""
    capture: Capture | None
    """For an undo: what is to be put back."""
    said: Callable[[str], None]
    """Takes each line that the target prints for people. Never blocks."""
    image: str = ""
    """The container image, by its digest, where that is what is to stand there instead of an artifact."""
    asker: str = ""
    """The id of the promotion, or of whatever else asked for it."""
    actor: str = ""
    """Who asked for it."""
    undoes: Undone | None = None
    """For an undo by a program: what is taken away."""
    promised: str = ""
    """Digest of the actions that were approved: a target that says them beforehand does those and no others."""


class Target(Protocol):
    """One endpoint that takes a component."""

    @property
    def fenced(self) -> bool:
        """Whether it refuses by itself what is older than the newest fence it has seen."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether it can say what it holds, so that a deed of unknown end can be tried again."""
        ...

    async def observe(self) -> Observation:
        """Say what stands there. Changes nothing. Raises ``TargetRefusalError``; anything else may be retried."""
        ...

    async def place(self, deed: Deed) -> None:
        """Make ``deed.after`` stand there, atomically where the target can. A second run changes nothing.

        Raises ``StaleFenceError``, ``TargetRefusalError``; anything else may be retried. A cancel stops it and
        leaves whatever it was about to leave: the undo comes next.
        """
        ...

    async def restore(self, deed: Deed) -> None:
        """Put ``deed.capture`` back, exactly. A second run changes nothing. Raises as ``place`` does."""
        ...


@runtime_checkable
class ImageTarget(Target, Protocol):
    """A target that takes ``deed.image`` too. One that does not say so takes files only, and is given no image."""

    @property
    def takes_images(self) -> Literal[True]: ...


class Preview(NamedTuple):
    """What a deed would change: a diff that people can read, of a few KiB at most, without secrets."""

    diff: str
    actions: str = ""
    """One text for the same set of actions, where people approve that set and not only the release."""


@runtime_checkable
class PreviewingTarget(Target, Protocol):
    """A target that can say beforehand what a deed would change, to the letter."""

    async def preview(self, deed: Deed) -> Preview:
        """Look, and change nothing. The deed's fence has no meaning.

        Raises ``TargetRefusalError`` where ``place`` would.
        """
        ...


class Place(NamedTuple):
    """Where a target is put to work: the folder that relative paths begin at, and what it takes there."""

    folder: Path
    subject: Subject
    component: str
    at: str | None = None
    """Which of the component's many targets; None where it is the only one."""
    keeps: Path | None = None
    """A folder of this machine's for what a target can fetch again; else it is ``.towpath`` below the folder."""


class PlacedTarget(Target, Protocol):
    """A target that has been put to work somewhere."""

    @property
    def undo(self) -> Undo:
        """How a deed of this target is undone."""
        ...


class ConfiguredTarget(PlacedTarget, Protocol):
    """A target as its table names it: a class, made from what people wrote about it and where it is put to work.

    ``settings`` is the model of what people may write: the door validates with ``extra="forbid"``, the constructor
    without, and raises pydantic's ``ValidationError``. Making one touches nothing.
    """

    settings: ClassVar[type[Value]]

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None: ...


class Finding(NamedTuple):
    """What one look of a check found: whether it passed, whether the revision was proven, and a sentence."""

    passed: bool
    proven: bool
    sentence: str


def unsaid(_line: str) -> None:
    """Where nobody reads what is printed."""


class Expected(NamedTuple):
    """What a check should find."""

    subject: Subject
    component: str | None
    holding: Holding
    began: datetime
    said: Callable[[str], None] = unsaid
    """Takes each line that a program of the check prints for people. Never blocks."""
    beside: Mapping[str, Placement] = {}
    """Where the check is of no component in particular: whatever is to stand there, each by its component."""


class Check(Protocol):
    """One way to ask whether a service is well."""

    async def look(self, expected: Expected) -> Finding:
        """Look once. Never raises for what it finds; a failure to look is a finding that did not pass."""
        ...


class ConfiguredCheck(Check, Protocol):
    """A check as its table names it: made from what people wrote, and the folder of relative paths."""

    settings: ClassVar[type[Value]]

    def __init__(self, settings: Mapping[str, JsonValue], folder: Path) -> None: ...


class Case(NamedTuple):
    """What a rule judges: a release that asks to be let in, and all that is known of it."""

    subject: Subject
    release: Release
    dossier: Mapping[str, JsonValue]
    """The same as plain content: what expressions, programs and callbacks are told."""
    way: tuple[Waypoint, ...]
    """What the environments before this one say."""
    now: datetime
    artifacts: Mapping[str, Path]
    """Component → its artifact as a tar file, its digest verified; images have none."""
    holds: Callable[[str], Awaitable[tuple[bool | None, str]]]
    """Says what an expression comes to: None where that could not be told, and why. Never raises, never stalls."""
    said: Callable[[str], None]
    """Takes each line that a program prints for people. Never blocks."""
    steps: Sequence[Step] = ()
    """What would be done."""


class Judgement(NamedTuple):
    """What a rule found: whether it is kept, and a sentence with what to do; ``output`` is what a program printed."""

    passed: bool
    sentence: str
    output: str = ""


class Rule(Protocol):
    """One thing that a release must keep to."""

    async def judge(self, case: Case) -> Judgement:
        """Judge once. May run again on a retry. Never raises for what it finds: what cannot be judged is not kept."""
        ...


class Desk(NamedTuple):
    """Where a rule is put to work: the folder that relative paths begin at, and the process's variables."""

    folder: Path
    variables: Mapping[str, str]


class ConfiguredRule(Rule, Protocol):
    """A rule as its table names it: made from what people wrote, and where it is put to work."""

    settings: ClassVar[type[Value]]

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None: ...


class AlreadyExistsError(Exception):
    """Something stands under this key already, and is never written over."""


class NotInStoreError(Exception):
    """Nothing stands under this key."""


class StoreError(Exception):
    """The store could not be read or written. The text is a sentence for people; trying again may help."""


Progress: TypeAlias = Callable[[int], None]
"""Takes how many bytes of a long work are done. Never blocks."""


def unheard(_done: int) -> None:
    """Where nobody watches the progress."""


class Store(Protocol):
    """The release store: keys with slashes → bytes. Each of its methods may raise ``StoreError``."""

    async def create(self, key: str, content: bytes) -> None:
        """Write, durably, only where nothing stands. Raises ``AlreadyExistsError``."""
        ...

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        """Write a file of any size under a key made of its content's digest.

        It appears whole or not at all. A second run changes nothing, and sends nothing where it stands.
        """
        ...

    async def read(self, key: str) -> bytes:
        """Raises ``NotInStoreError``."""
        ...

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Read in pieces. Raises ``NotInStoreError``."""
        ...

    async def list(self, prefix: str) -> list[str]:
        """Return every key below the prefix, sorted."""
        ...

    async def remove(self, key: str) -> None:
        """Remove what stands under the key; nothing there is no error. For retention alone."""
        ...


class SealError(Exception):
    """A seal could not be made, or is not to be believed. The text is a sentence."""


class BadSealError(SealError):
    """A seal is missing, of another environment or kind, or does not fit its text: somebody has altered something."""


class NoKeyError(SealError):
    """The key is not there that makes or checks a seal: nothing is known of the seal itself until it is put back."""


class Seals(Protocol):
    """The keys: this worker's own to sign with, everybody's public ones to check by."""

    def seal(self, environment: str, kind: str, body: str) -> Sealed:
        """Sign. Raises ``NoKeyError`` where this worker does not have the environment's key."""
        ...

    def open(self, sealed: Sealed, environment: str, kind: str) -> str:
        """Return the body where the seal is that environment's and of that kind.

        Raises ``BadSealError`` where it is not, and ``NoKeyError`` where that cannot be told now.
        """
        ...


class Signers(Protocol):
    """The people whose signatures count here."""

    async def why_not(
        self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
    ) -> str:
        """Say why a signature is not this person's over this statement, or nothing where it is.

        ``given`` is when it was made, of one that was taken as good and is looked at again: what has become of a
        key since counts as ever, and is no attempt.
        An exception means that it could not be looked at this time.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time, with its zone (UTC)."""
        ...


class Settings(Protocol):
    def current(self) -> Configuration:
        """Read the configuration as it is now. Raises ``domain`` errors as sentences where it is broken."""
        ...

    def about(self, service: str = "", environment: str = "") -> Configuration:
        """Read what concerns these, or none: what is broken in the files of others is left out, with them.

        Where no environment is named, all of them count.
        """
        ...

    def shared(self) -> Configuration:
        """Read what all share, and every service and environment whose file is whole."""
        ...


class Alarm(NamedTuple):
    """A person is needed."""

    subject: Subject
    headline: str
    remedy: str
    key: str
    """Tells one alarm from another, so that the same one is not raised twice."""
    event: Event = Event.UNSETTLED


class Notifier(Protocol):
    async def call(self, alarm: Alarm) -> None:
        """Tell a person. Raises where it could not be told; may be tried again with the same key."""
        ...


class ChannelError(Exception):
    """A channel did not take a notice. The text is a sentence without secrets; trying again may help."""


class Courier(Protocol):
    async def carry(self, channel: str, notice: Notice) -> None:
        """Hand a notice to a channel, once or, where its answer was lost, once more. Raises ``ChannelError``.

        Never takes longer than ten seconds.
        """
        ...
