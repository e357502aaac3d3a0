"""Calling a person, beside what it is about: it is tried for ever, and nobody waits for it to get through."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities
    from domain.order import Call
    from workflows import patience

Ringing = workflow.ActivityHandle[None]


def call_person(call: Call, summary: str) -> Ringing:
    """Begin to call. The same key twice is one alarm."""
    ringing: Ringing = workflow.start_activity_method(
        ErrandActivities.call_person,
        call,
        start_to_close_timeout=patience.ERRAND,
        retry_policy=patience.NEVER_GIVE_UP,
        summary=summary,
    )
    return ringing
