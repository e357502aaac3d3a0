"""Calling people because somebody broke the glass: beside the promotion, and never in its way."""

import asyncio
from contextlib import suppress

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.notice import Event
    from domain.order import Call
    from domain.terms import Proposal
    from domain.urgency import Urgency
    from workflows import patience
    from workflows.calling import Ringing, call_person
    from workflows.undisturbed import undisturbed


def alarm_for(proposal: Proposal) -> Ringing | None:
    """Begin to call people by every channel, where the glass is broken for this proposal."""
    request = proposal.request
    if request.urgency is not Urgency.BREAK_GLASS:
        return None
    subject = request.subject
    call = Call(
        subject=subject,
        headline=f"{proposal.asked_by} breaks the glass for {request.version} of {subject}: {request.reason}",
        remedy=f"towpath status {subject.service} {request.version} {subject.environment}\ntowpath review list",
        key=f"{workflow.info().workflow_id}/{proposal.plan.intent}",
        event=Event.GLASS_BROKEN,
    )
    return call_person(call, f"call people: the glass is broken in {subject.environment}")


async def until_delivered(alarm: Ringing | None) -> None:
    """Let an alarm that still rings be heard before its promotion ends. No channel that is away holds that up long."""
    if alarm is None or alarm.done():
        return
    delivered = workflow.wait_condition(alarm.done, timeout=patience.DELIVERING, timeout_summary="the alarm")
    with suppress(TimeoutError):
        await undisturbed(asyncio.create_task(delivered))
