"""How values travel."""

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue

from workflows.wire import DEEPEST, ForgivingFailureConverter, ForgivingPayloadConverter


def test_what_was_learned_of_a_type_is_known_to_the_next_converter() -> None:
    """The SDK makes one for each activation: reading a type anew each time would cost more than reading the value."""
    one, next_one = ForgivingPayloadConverter(), ForgivingPayloadConverter()

    assert [*one.converters.values()] == [*next_one.converters.values()]


def test_a_message_of_protobufs_in_bytes_is_nothing_that_we_read() -> None:
    """It is read as deep as it goes, and a deep one would end the process."""
    metadata = {"encoding": b"binary/protobuf", "messageType": b"temporal.api.failure.v1.Failure"}
    message = Payload(metadata=metadata, data=b"\n\x01x")

    (read,) = ForgivingPayloadConverter().from_payloads([message])

    assert isinstance(read, RawValue)


def test_of_a_failures_causes_the_first_thirty_are_kept() -> None:
    """What is handed on is handed on inside of others, and nobody reads a hundred of them."""
    for depth in (0, DEEPEST - 1, DEEPEST, DEEPEST + 1, 95):
        failure = last = Failure(message="0")
        for number in range(1, depth + 1):
            last = last.cause
            last.message = str(number)

        error = ForgivingFailureConverter().from_failure(failure, ForgivingPayloadConverter())

        said: list[str] = []
        seen: BaseException | None = error
        while seen:
            said.append(str(seen))
            seen = seen.__cause__
        assert [one.rpartition(" ")[2] for one in said] == [str(n) for n in range(min(depth, DEEPEST) + 1)]
