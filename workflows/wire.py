"""How values travel: pydantic, and nothing that arrives can break a workflow before it is looked at."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

_SHARED: Final = tuple(
    one for one in PydanticPayloadConverter().converters.values() if one.encoding != "binary/protobuf"
)
"""The SDK makes a converter for each activation; what one has learned of a type is known to the next.

None of ours is a message of protobuf's in bytes, and whoever reads one reads as deep as it goes: ``read_deeper``.
"""

DEEPEST: Final = 30
"""So many causes of a failure are kept; the hundred that may arrive would be too many to hand on."""


def read_deeper() -> None:
    """Have this process read whatever the SDK's core reads: it hands on what it has read some levels deeper.

    Both stop at a hundred levels. A failure of 96 causes is read by the core, and the task that holds it, which is
    deeper, by nobody: the worker takes that for its own end. Past the core nothing comes that is much deeper.
    """
    with suppress(ImportError):  # the slow protobuf, in Python, which nobody installs, has a limit of its own
        from google._upb import _message  # noqa: PLC0415

        _message.SetAllowOversizeProtos(True)  # noqa: FBT003 - of size it lifts nothing that the core has not


read_deeper()


class ForgivingPayloadConverter(PydanticPayloadConverter):
    """Decodes as pydantic does; what nobody typed and nothing can decode arrives raw instead of raising.

    A workflow's ``run`` takes untyped arguments, so that a start with a payload of any encoding reaches the
    sentence that refuses it, and does not fail its workflow task for ever. A typed value that does not fit, such
    as an activity's result that somebody completed by hand, fails the workflow: for a change that is an end that
    its lane sees and settles, where a failing workflow task would hold the lane for ever.
    """

    def __init__(self) -> None:
        CompositePayloadConverter.__init__(self, *_SHARED)

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        if type_hints and any(hint is not Any for hint in type_hints):
            try:
                return super().from_payloads(payloads, type_hints)
            except (KeyError, RuntimeError, ValueError) as error:
                message = f"What came is not what was asked for: {error}"
                raise ApplicationError(message, type="Unreadable", non_retryable=True) from error
        return [self._decode(payload) for payload in payloads]

    def _decode(self, payload: Payload) -> object:
        try:
            return super().from_payloads([payload], None)[0]
        except (KeyError, RuntimeError, ValueError):
            return RawValue(payload)


class ForgivingFailureConverter(DefaultFailureConverter):
    """Converts as the SDK does, but no deeper; a cause that it cannot convert is a failure all the same, and says so.

    Whoever reaches the server may have an activity fail with a category or delay that does not exist. Raised from here
    it would fail the workflow task for ever; so it is what the activity failed with.
    """

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        try:
            return super().from_failure(_shallow(failure), payload_converter)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would take it
            message = f"It failed, and how cannot be read: {error}"
            return ApplicationError(message, type="Unreadable", non_retryable=True)


def _shallow(failure: Failure) -> Failure:
    """Cut off what is more than ``DEEPEST`` causes away."""
    last = failure
    for _ in range(DEEPEST):
        if not last.HasField("cause"):
            return failure
        last = last.cause
    kept = Failure()
    kept.CopyFrom(failure)
    last = kept
    for _ in range(DEEPEST):
        last = last.cause
    last.ClearField("cause")
    return kept


DATA_CONVERTER: Final = replace(
    pydantic_data_converter,
    payload_converter_class=ForgivingPayloadConverter,
    failure_converter_class=ForgivingFailureConverter,
)
