"""How a client behaves: which server, how long, how often again."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Optional

from .errors import InvalidArgument

DEFAULT_SERVER = "tcp://127.0.0.1:5555"
SERVER_VARIABLE = "ENTREPOT_SERVER"

TIMEOUT_MS = 5000.0
RETRIES = 3
CONNECT_WAIT_MS = 500.0

_ENDPOINT = re.compile(r"tcp://[^\s/]+:[0-9]{1,5}|ipc://\S+")


@dataclass(frozen=True)
class CallOptions:
    """``timeout_ms`` is the whole time of a call; 0 ``retries`` means that nothing is repeated."""

    timeout_ms: float = TIMEOUT_MS
    retries: int = RETRIES

    def __post_init__(self) -> None:
        if not self.timeout_ms > 0:
            raise InvalidArgument(f"timeout_ms is above 0, not {self.timeout_ms!r}")
        if self.retries < 0:
            raise InvalidArgument(f"retries is 0 or more, not {self.retries!r}")

    def but(self, timeout_ms: Optional[float], retries: Optional[int]) -> CallOptions:
        return CallOptions(
            self.timeout_ms if timeout_ms is None else timeout_ms,
            self.retries if retries is None else retries,
        )


def server_of(server: Optional[str]) -> str:
    """The endpoint to use. Raises InvalidArgument when it is none."""
    endpoint = server or os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER
    if not _ENDPOINT.fullmatch(endpoint):
        raise InvalidArgument(
            f"{endpoint!r} is no endpoint: tcp://HOST:PORT or ipc://PATH is expected"
        )
    return endpoint
