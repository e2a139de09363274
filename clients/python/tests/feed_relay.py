"""Between a server's PUB endpoint and a subscriber: loses what a test tells it to lose."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Callable, List, Optional, Type

import zmq

POLL_MS = 20


class FeedRelay:
    """Passes each message for which ``passes(key, event)`` is true; ``lost`` holds the others."""

    def __init__(self, feed: str) -> None:
        self.passes: Callable[[bytes, bytes], bool] = lambda key, event: True
        self.lost: List[List[bytes]] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._inner = self._context.socket(zmq.SUB)
        self._inner.connect(feed)
        self._inner.setsockopt(zmq.SUBSCRIBE, b"")
        self._outer = self._context.socket(zmq.PUB)
        port = self._outer.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed-relay")

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._inner.poll(POLL_MS):
                frames = self._inner.recv_multipart()
                if self.passes(*frames):
                    self._outer.send_multipart(frames)
                else:
                    self.lost.append(frames)
        self._context.destroy(linger=0)

    def __enter__(self) -> FeedRelay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._stopping.set()
        self._thread.join()
