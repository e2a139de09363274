"""A peer that goes on working while another one misbehaves."""

from __future__ import annotations

import threading
import time
from typing import List, Optional

from harness.peer import Peer

# How long a bystander may wait for one answer: far above what the server needs, far below a stall.
LONGEST_WAIT_S = 2.0


class Bystander:
    """Sets and gets an entry over and over, on a connection of its own.

    with Bystander(server.endpoint) as bystander:
        …                                # misbehave
        bystander.wait_for_answers(20)   # it was served meanwhile

    On leaving it raises what went wrong: an error, a wrong value, or an answer that took longer
    than LONGEST_WAIT_S.
    """

    def __init__(self, endpoint: str):
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._answered = threading.Condition()
        self._waits: List[float] = []
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run)

    @property
    def answers(self) -> int:
        with self._answered:
            return len(self._waits)

    @property
    def longest_wait_s(self) -> float:
        with self._answered:
            return max(self._waits, default=0.0)

    def wait_for_answers(self, count: int) -> None:
        """Returns when `count` more answers have come."""
        with self._answered:
            goal = len(self._waits) + count
            assert self._answered.wait_for(
                lambda: len(self._waits) >= goal or self._failure is not None, timeout=60)

    def _run(self) -> None:
        try:
            with Peer(self._endpoint) as peer:
                number = 0
                while not self._stop.is_set():
                    number += 1
                    started = time.monotonic()
                    _, read = peer.call_all([("set", "bystander", number), ("get", "bystander")])
                    assert read["value"] == number
                    with self._answered:
                        self._waits.append(time.monotonic() - started)
                        self._answered.notify_all()
        except BaseException as failure:  # Raised again in the test's thread, by __exit__.
            with self._answered:
                self._failure = failure
                self._answered.notify_all()

    def __enter__(self) -> "Bystander":
        self._thread.start()
        self.wait_for_answers(1)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            if self._failure is not None:
                raise self._failure
            assert self.longest_wait_s < LONGEST_WAIT_S
