"""What can go wrong, one class for each code of docs/CLIENTS.md.

A missing key, a conflict and a rejected transaction are results, never errors. Only ``code`` is
meant for programs; ``message`` is for people. ``maybe_applied`` tells whether a write may have
happened in spite of the error.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Type


class EntrepotError(Exception):
    """The base of all errors of this package, and the class of codes it does not know."""

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: Optional[str] = None,
        retry: str = "never",
        retry_after_ms: Optional[int] = None,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.retry = retry
        self.retry_after_ms = retry_after_ms
        self.maybe_applied = maybe_applied

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ServerError(EntrepotError):
    """The server answered the request with an error."""


class Malformed(ServerError):
    """The server could not read the request."""

    code = "malformed"


class UnknownMethod(ServerError):
    """This server does not have the method; ``hello().features`` lists what it has."""

    code = "unknown_method"


class InvalidArgument(ServerError, ValueError):
    """An argument is wrong. Also raised here, before anything is sent."""

    code = "invalid_argument"


class TooLarge(ServerError):
    """A key, a value or a body is over the limit that the message names."""

    code = "too_large"


class WrongType(ServerError):
    """The entry's value is not of the type that the method works on."""

    code = "wrong_type"


class Full(ServerError):
    """The memory limit is reached and nothing may be evicted."""

    code = "full"


class Overloaded(ServerError):
    """A bound is reached; the request did not run."""

    code = "overloaded"


class NoIndex(ServerError):
    """The server keeps no index for this search."""

    code = "no_index"


class Denied(ServerError):
    """This peer may not do this."""

    code = "denied"


class ReadOnly(ServerError):
    """The server's disk is full; reads go on."""

    code = "read_only"


class Unavailable(ServerError):
    """The server is starting, stopping, or its log failed; the request did not run."""

    code = "unavailable"


class OutcomeUnknown(ServerError):
    """The write may or may not have happened, and nobody knows any more."""

    code = "outcome_unknown"


class SessionExpired(ServerError):
    """The server does not know the session for ``once`` any more; nothing ran."""

    code = "session_expired"


class HistoryLost(ServerError):
    """The revision asked for is not in the log any more."""

    code = "history_lost"


class UnknownHistory(ServerError):
    """The token belongs to another history."""

    code = "unknown_history"


class NotLeader(ServerError):
    """Another server of the group takes this."""

    code = "not_leader"


class Internal(ServerError):
    """A defect of the server, which it has logged."""

    code = "internal"


class Unreachable(EntrepotError, ConnectionError):
    """No connection could be made, and nothing of the call was sent."""

    code = "unreachable"


class Timeout(EntrepotError, TimeoutError):
    """The deadline passed without an answer."""

    code = "timeout"


class ConnectionLost(EntrepotError, ConnectionError):
    """With ``retries=0`` only: the connection ended before the answer came."""

    code = "connection_lost"


class BadReply(EntrepotError):
    """The answer is not of the protocol."""

    code = "bad_reply"


class Closed(EntrepotError):
    """The client was closed before or during the call."""

    code = "closed"


_CLASS_OF_CODE: Mapping[str, Type[ServerError]] = {
    cls.code: cls for cls in ServerError.__subclasses__()
}

# After these a token is no use any more, and only a new snapshot helps.
TOKEN_IS_NO_USE = frozenset({"history_lost", "unknown_history"})

_MAYBE_APPLIED = frozenset({"outcome_unknown", "internal"})


def from_wire(error: Mapping[Any, Any]) -> ServerError:
    """The exception for an error map of the protocol. Fields it does not know are ignored."""
    code = str(error.get("code", "internal"))
    retry_after_ms = error.get("retry_after_ms")
    return _CLASS_OF_CODE.get(code, ServerError)(
        str(error.get("message", "")),
        code=code,
        retry=str(error.get("retry", "never")),
        retry_after_ms=retry_after_ms if isinstance(retry_after_ms, int) else None,
        maybe_applied=code in _MAYBE_APPLIED,
    )
