"""What an error of a call to the server means."""

from typing import Final

from temporalio.service import RPCError, RPCStatusCode

_SILENT: Final = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}
_UNDECODED: Final = "failed to decode Protobuf message"


def is_away(error: RPCError) -> bool:
    """Tell whether nobody answered, rather than that somebody refused."""
    return error.status in _SILENT or (
        error.status is RPCStatusCode.UNKNOWN and "transport error" in error.message
    )


def is_unreadable(error: RPCError) -> bool:
    """Tell whether the server answered, and with what the SDK cannot read: a worker is handed the same."""
    return error.status is RPCStatusCode.INTERNAL and _UNDECODED in error.message
