"""How values travel: pydantic, and nothing that arrives can break a workflow before it is looked at."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

_SHARED: Final = tuple(PydanticPayloadConverter().converters.values())
"""The SDK makes a converter for each activation; what one has learned of a type is known to the next."""


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
    """Converts as the SDK does; a cause that it cannot convert is a failure all the same, and says so.

    Whoever reaches the server may have an activity fail with a category or delay that does not exist. Raised from here
    it would fail the workflow task for ever; so it is what the activity failed with.
    """

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        try:
            return super().from_failure(failure, payload_converter)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would take it
            message = f"It failed, and how cannot be read: {error}"
            return ApplicationError(message, type="Unreadable", non_retryable=True)


DATA_CONVERTER: Final = replace(
    pydantic_data_converter,
    payload_converter_class=ForgivingPayloadConverter,
    failure_converter_class=ForgivingFailureConverter,
)
