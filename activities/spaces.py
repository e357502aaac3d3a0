"""The namespaces that environments live in, each by a client of its own; and home, where all else lives."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final, NamedTuple

from temporalio.client import Client, WorkflowExecution, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

Reached = Client | Exception
"""A client, or why there is none: raised to whoever asks for it."""

_OF_AN_ENVIRONMENT: Final = {"promotion": 3, "plan": 3, "way": 3, "change": 3, "review": 3, "lane": 2}
_NOBODYS: Final[Mapping[str, Reached]] = {}


class Unseen(NamedTuple):
    """A namespace that would not be listed, and why."""

    client: Client
    error: RPCError


def environment_in(workflow_id: str) -> str:
    """Return the environment that a workflow of ours is about by its id; nothing for a walk, or for a stranger."""
    story, *names = workflow_id.split("/")
    if story == "environment":
        return names[0] if names else ""
    return names[1] if len(names) >= _OF_AN_ENVIRONMENT.get(story, len(names) + 1) else ""


class Spaces:
    """Environment → client. What does not say where it lives, lives at home.

    Finds a workflow by its id, wherever that is, and lists those of every namespace as one.
    """

    def __init__(self, home: Reached, others: Mapping[str, Reached] = _NOBODYS) -> None:
        self._home = home
        self._others = others
        self._listed = False
        self.unseen: dict[str, Unseen] = {}
        """What the newest lists lack, by namespace."""

    @property
    def home(self) -> Client:
        """Raises what kept us from it."""
        return _there(self._home)

    @property
    def home_or_none(self) -> Client | None:
        return self._home if isinstance(self._home, Client) else None

    def of(self, environment: str) -> Client:
        """Return the client of an environment's namespace. Raises what kept us from it."""
        return _there(self._others.get(environment, self._home))

    def said_of(self, environment: str) -> str:
        """Name the namespace that an environment lives in, as far as it was reached from here."""
        there = self._others.get(environment, self._home)
        return f"the namespace “{there.namespace}”" if isinstance(there, Client) else "another namespace"

    def having(self, workflow_id: str) -> Client:
        """Return the client of the namespace that a workflow of this id lives in."""
        return self.of(environment_in(workflow_id))

    def everywhere(self) -> Iterator[Client]:
        """Yield every namespace that was reached, once each, home first."""
        known: list[Client] = []
        for one in (self._home, *self._others.values()):
            if isinstance(one, Client) and not any(one is other for other in known):
                known.append(one)
                yield one

    def kept_from(self) -> Iterator[tuple[str, Exception]]:
        """Yield the environments that were not reached, and why."""
        for environment, one in self._others.items():
            if isinstance(one, Exception):
                yield environment, one

    @property
    def lists_lack(self) -> list[tuple[str, Exception]]:
        """What was not reached, where something was listed."""
        return list(self.kept_from()) if self._listed else []

    def living_in(self, client: Client, environments: list[str]) -> list[str]:
        """Return which of these environments live in a namespace."""
        return [name for name in environments if self._others.get(name, self._home) is client]

    def get_workflow_handle(
        self, workflow_id: str, *, run_id: str | None = None, result_type: type | None = None
    ) -> WorkflowHandle[Any, Any]:
        return self.having(workflow_id).get_workflow_handle(
            workflow_id, run_id=run_id, result_type=result_type
        )

    async def list_workflows(self, query: str, limit: int | None = None) -> AsyncIterator[WorkflowExecution]:
        """List what a visibility query finds anywhere, newest first; namespaces that refuse go into ``unseen``."""
        self.unseen.clear()
        self._listed = True
        found = await asyncio.gather(*(self._list(client, query, limit) for client in self.everywhere()))
        rows = [row for some in found for row in some]
        if len([some for some in found if some]) > 1:
            rows.sort(key=lambda row: row.start_time, reverse=True)
        for row in rows[:limit]:
            yield row

    async def _list(self, client: Client, query: str, limit: int | None) -> list[WorkflowExecution]:
        try:
            return [row async for row in client.list_workflows(query, limit=limit)]
        except RPCError as error:
            if client is self._home:
                raise
            self.unseen[client.namespace] = Unseen(client, error)
            return []


Anywhere = Client | Spaces
"""Where workflows are found: in one namespace, or in all of them."""


def client_for(where: Anywhere, workflow_id: str) -> Client:
    """Return the client that a workflow of this id is asked by."""
    return where.having(workflow_id) if isinstance(where, Spaces) else where


def _there(reached: Reached) -> Client:
    if isinstance(reached, Exception):
        raise reached
    return reached


def say_shut(client: Client, environment: str, error: RPCError) -> str:
    """Say why a namespace does not let us in; nothing where it may yet."""
    where = f"the namespace “{client.namespace}”, where {environment} lives,"
    if error.status is RPCStatusCode.NOT_FOUND and error.message.startswith("Namespace"):
        return f"{where} is not there: temporal operator namespace create -n {client.namespace}"
    if error.status in {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}:
        return f"{where} does not let this engine in ({error.message[:200]}): see its certificate or key"
    return ""
