"""Speaking with supervisord (http://supervisord.org/api.html): XML-RPC over HTTP or a socket. Blocking: for threads."""

import http.client
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit
from xmlrpc.client import Fault, ProtocolError, ServerProxy, Transport

from activities.ports import TargetRefusalError, TargetTroubleError

ResultT = TypeVar("ResultT")

_BAD_NAME: Final = 10
_NOT_RUNNING: Final = 70
_ALREADY_STARTED: Final = 60
_ENDED_AT_ONCE: Final = frozenset({40, 50})
"""ABNORMAL_TERMINATION, SPAWN_ERROR."""
_TAIL: Final = 2000


class Process(NamedTuple):
    """One process of a program: its whole name, what supervisord says of it, and since when."""

    name: str
    state: str
    why: str
    pid: int
    began: int
    """Seconds since the epoch, by supervisord's own clock."""


class EndedAtOnceError(Exception):
    """A process was started and did not stay. The text is a sentence, with its last words."""


class Supervisord:
    """One supervisord, by its address: ``http://host:port`` or ``unix:///path/of.sock``."""

    def __init__(self, url: str, user: str, password: str, patience: float) -> None:
        self._url = url
        parts = urlsplit(url)
        is_socket = parts.scheme == "unix"
        self._transport = _Transport(parts.path if is_socket else "", user, password, patience)
        self._rpc = ServerProxy(
            "http://localhost/RPC2" if is_socket else f"{url.rstrip('/')}/RPC2", self._transport
        )

    def processes(self, program: str) -> list[Process]:
        """Return the processes of a program or group, in order. Raises ``TargetRefusalError`` where there is none."""
        seen: Any = self._asked(self._rpc.supervisor.getAllProcessInfo)
        found = [
            Process(
                name=f"{one['group']}:{one['name']}",
                state=str(one["statename"]),
                why=str(one["spawnerr"] or one["description"]),
                pid=int(one["pid"]),
                began=int(one["start"]),
            )
            for one in seen
            if program in {one["group"], one["name"], f"{one['group']}:{one['name']}"}
        ]
        if not found:
            there = ", ".join(sorted({str(one["group"]) for one in seen})) or "none"
            raise TargetRefusalError(
                f"{self._url} has no program “{program}”; it has: {there}. Add it to supervisord's configuration, and "
                "have that read again: supervisorctl update"
            )
        return sorted(found)

    def stop(self, process: str) -> None:
        """Stop a process and wait for its end; one that does not run is stopped already."""
        try:
            self._asked(lambda: self._rpc.supervisor.stopProcess(process, True))  # noqa: FBT003 - it waits
        except _Refused as refused:
            if refused.code != _NOT_RUNNING:
                raise TargetTroubleError(f"{process} could not be stopped: {refused}.") from refused

    def start(self, process: str) -> None:
        """Start a process and wait until it has stayed for its ``startsecs``. Raises ``EndedAtOnceError``."""
        try:
            self._asked(lambda: self._rpc.supervisor.startProcess(process, True))  # noqa: FBT003 - it waits
        except _Refused as refused:
            if refused.code in _ENDED_AT_ONCE:
                raise EndedAtOnceError(f"{process} ended as soon as it was started.") from refused
            if refused.code != _ALREADY_STARTED:
                raise TargetTroubleError(f"{process} could not be started: {refused}.") from refused

    def last_words(self, process: str) -> list[str]:
        """Return the last lines that a process wrote, on stderr or else on stdout."""
        for tail in (self._rpc.supervisor.tailProcessStderrLog, self._rpc.supervisor.tailProcessStdoutLog):
            with suppress(_Refused, TargetTroubleError):
                text, *_ = self._asked(lambda tail=tail: tail(process, 0, _TAIL))  # type: ignore[misc]
                if str(text).strip():
                    return str(text).strip().splitlines()[-5:]
        return []

    def _asked(self, question: Callable[[], ResultT]) -> ResultT:
        try:
            return question()
        except Fault as fault:
            raise _Refused(fault.faultCode, fault.faultString) from fault
        except ProtocolError as error:
            if error.errcode == http.client.UNAUTHORIZED:
                raise TargetRefusalError(
                    f"{self._url} does not take the user and password that it was given. They are those of "
                    "[inet_http_server] or [unix_http_server] in supervisord's configuration."
                ) from error
            raise TargetTroubleError(f"{self._url} answered {error.errcode} {error.errmsg}.") from error
        except (OSError, http.client.HTTPException) as away:
            raise TargetTroubleError(
                f"supervisord at {self._url} is not to be reached: {str(away) or type(away).__name__}."
            ) from away
        finally:
            self._transport.close()


class _Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Transport(Transport):
    """HTTP to a host or a socket, with a patience, and a user where there is one."""

    def __init__(self, path: str, user: str, password: str, patience: float) -> None:
        super().__init__()
        self._path = path
        self._login = f"{user}:{password}" if user else ""
        self._patience = patience

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        plain, self._extra_headers, _ = self.get_host_info(f"{self._login}@{host}" if self._login else host)
        made = (
            _SocketConnection(self._path, self._patience)
            if self._path
            else http.client.HTTPConnection(plain, timeout=self._patience)
        )
        self._connection = host, made  # for close()
        return made


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
