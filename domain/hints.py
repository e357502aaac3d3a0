"""The commands that people are told: whole, so that whoever pastes one is not told what else it lacks."""

from collections.abc import Mapping
from typing import Final

from domain.gate import Freeze, Pin
from domain.terms import Proposal
from domain.value import canonical, short

OWN_KEY: Final = "--key ~/.ssh/id_ed25519"
"""Where most people's keys are; whoever has theirs elsewhere writes that."""
USUAL_NAMESPACE: Final = "default"
"""The one that ``temporal`` looks into where none is named."""


def keyed(command: str, *, signed: bool) -> str:
    """Return a command of ours with the key that it takes where what it says has to be signed."""
    return f"{command} {OWN_KEY}" if signed else command


def opening(gate: Freeze | Pin, environment: str, service: str) -> str:
    """Return the command that opens what somebody shut: signed, where they had to sign."""
    command = (
        f"towpath thaw {environment}"
        if isinstance(gate, Freeze)
        else f"towpath unpin {service} {environment}"
    )
    return keyed(command, signed=gate.by.is_proven)


def openings(environment: str, freeze: Freeze | None, pins: Mapping[str, Pin]) -> list[str]:
    """Return the commands that open everything that somebody shut in an environment."""
    thaw = [opening(freeze, environment, "")] if freeze else []
    return [*thaw, *(opening(pin, environment, service) for service, pin in sorted(pins.items()))]


def temporal(verb: str, workflow_id: str, namespace: str) -> str:
    """Return a ``temporal workflow`` command about one workflow, as far as all of them go alike."""
    there = "" if namespace == USUAL_NAMESPACE else f"-n {namespace} "
    return f"temporal workflow {verb} {there}-w {workflow_id}"


def approve_json(intent: str) -> str:
    """Return the JSON to paste where an approver answers and need not sign."""
    return canonical({"by": "you@example.com", "comment": "", "plan": short(intent)})


def approve_command(workflow_id: str, proposal: Proposal) -> str:
    """Return our command that approves a plan."""
    _, service, environment, version = workflow_id.split("/")
    what = f"{service} {version} {environment} --plan {short(proposal.plan.intent)}"
    command = f"towpath approve {what} --by you@example.com"
    return keyed(command, signed=proposal.terms.approval.signed)


def approve_commands(workflow_id: str, proposal: Proposal, namespace: str) -> str:
    """Return the two commands that approve a plan: ours, and the ``temporal`` one."""
    ours = approve_command(workflow_id, proposal)
    signal = f"{temporal('signal', workflow_id, namespace)} --name approve --input"
    if proposal.terms.approval.signed:
        return f'{ours}\n{signal} "$({ours} --print)"'
    return f"{ours}\n{signal} '{approve_json(proposal.plan.intent)}'"
