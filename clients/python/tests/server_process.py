"""A server that a test may stop and start again where it was."""

from __future__ import annotations

import signal
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

from harness.server import Server, launch


class ServerProcess:
    """In memory, or over the folder ``data``, on free ports that it keeps.

    A context manager that ends it.
    """

    def __init__(self, data: Optional[Path] = None, *, has_feed: bool = False) -> None:
        self.endpoint = "tcp://127.0.0.1:0"
        self.feed = "tcp://127.0.0.1:0" if has_feed else "off"
        self._data = "none" if data is None else str(data)
        self._server: Optional[Server] = None

    def start(self) -> None:
        self._server = launch(
            ["--data", self._data, "--listen", self.endpoint, "--feed", self.feed, "--admin", "off"]
        )
        try:
            self._server.wait_until_ready()
        except BaseException:
            self._server.close()
            raise
        self.endpoint = self._server.endpoint
        self.feed = str(self._server.ports["feed"] or "off")

    def stop(self) -> None:
        """Ends it as an operator would, and insists on a clean end."""
        self._end(signal.SIGTERM, expected_status=0)

    def kill(self) -> None:
        self._end(signal.SIGKILL, expected_status=-signal.SIGKILL)

    def _end(self, signal_number: int, expected_status: int) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        with server:
            status = server.stop(signal_number)
            assert status == expected_status, f"the server ended with {status}:\n{server.log()}"

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()
