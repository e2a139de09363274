"""Clients that do a bit of everything, and record it for harness.history.

    history = History()
    clients = [Client(number, history, seed) for number in range(50)]
    with at_work(clients, server.endpoint):
        wait_until(lambda: answers_of(clients) > 1000, "work", TIMEOUT_S)
        kill(server)

What has no answer when the server is killed stays open in the history; an increment is sent again
with the same `once` when the client works next, as a client library does.

Thread safety: a Client belongs to the thread that runs it.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence

from harness.history import NEVER, History, Seen, Step
from harness.peer import CallError, Peer, request, responses

# How soon a client notices that the server was killed.
ANSWER_POLL_MS = 20
SHARED_KEYS = 8
PAIRS = 4
COUNTERS = 3
SHORT_TTL_MS = 30
LONG_TTL_MS = 3_600_000


def all_keys(clients: Sequence["Client"]) -> List[str]:
    """Every key that these clients may write."""
    return ([f"shared {number}" for number in range(SHARED_KEYS)]
            + [f"pair {number} {side}" for number in range(PAIRS) for side in ("left", "right")]
            + [f"counter {number}" for number in range(COUNTERS)]
            + [f"{kind} {client.number}" for client in clients for kind in ("expiring", "lasting")])


def answers_of(clients: Sequence["Client"]) -> int:
    return sum(client.answers for client in clients)


def errors_of(clients: Sequence["Client"]) -> List[str]:
    return [error for client in clients for error in client.errors]


@contextlib.contextmanager
def at_work(clients: Sequence["Client"], endpoint: str) -> Iterator[None]:
    """Runs each client in a thread of its own for as long as the context lasts."""
    stopped = threading.Event()
    threads = [threading.Thread(target=client.run, args=(endpoint, stopped)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


class Client:
    """One client: its session of safe retries and its open increment live across crashes."""

    def __init__(self, number: int, history: History, seed: int):
        self.number = number
        self.history = history
        self.random = random.Random(seed)
        self.session: Optional[str] = None
        self.once_number = 0
        self.open_increment: Optional[Step] = None
        self.values = 0
        self.answers = 0
        self.errors: List[str] = []
        # While it is set, what the server says counts as not said: its machine is off.
        self.deaf = threading.Event()

    def read_all(self, peer: Peer, keys: List[str]) -> None:
        """Reads each key, and all of them at one instant."""
        stopped = threading.Event()
        for key in keys:
            self._read(peer, stopped, key)
        self._look_at(peer, stopped, keys)

    def finish(self, peer: Peer) -> None:
        """Has the increment counted that had no answer yet."""
        if self.open_increment is not None:
            self._increment(peer, threading.Event())

    def run(self, endpoint: str, stopped: threading.Event) -> None:
        """Works until the server is gone."""
        try:
            with Peer(endpoint) as peer:
                while not stopped.is_set():
                    self._one_step(peer, stopped)
        except (AssertionError, CallError, KeyError) as reason:
            self.errors.append(f"client {self.number}: {type(reason).__name__} {reason}")

    def _one_step(self, peer: Peer, stopped: threading.Event) -> None:
        if self.session is None:
            greeting = self._ask(peer, stopped, "hello", {"session": True})
            self.session = greeting["session"] if greeting else None
            return
        if self.open_increment is not None:
            return self._increment(peer, stopped)
        kind = self.random.choice(["set", "set", "get", "get", "delete", "pair", "look", "expiring",
                                   "lasting", "increment", "increment"])
        getattr(self, f"_{kind}")(peer, stopped)

    def _ask(self, peer: Peer, stopped: threading.Event, method: str, *params: Any
             ) -> Optional[Dict[str, Any]]:
        """The result; None when the server was killed before it answered."""
        peer.send(request(1, method, *params))
        while not peer.socket.poll(ANSWER_POLL_MS):
            if stopped.is_set():
                return None
        ((_, _, error, result),) = responses(peer.receive()[-1])
        if self.deaf.is_set():
            stopped.wait()
            return None
        if error is not None:
            raise CallError(error)
        self.answers += 1
        return dict(result)

    def _write(self, peer: Peer, stopped: threading.Event, step: Step, method: str, *params: Any
               ) -> None:
        self.history.add(step)
        result = self._ask(peer, stopped, method, *params)
        if result is None:
            return
        if result["status"] == "not_found":  # A delete of what was not there.
            step.reads, step.writes = {key: None for key in step.writes}, {}
        else:
            step.version = result["version"]
        step.end = time.monotonic()

    def _read(self, peer: Peer, stopped: threading.Event, key: str) -> None:
        step = Step(self.number, time.monotonic())
        result = self._ask(peer, stopped, "get", key)
        if result is None:
            return
        step.end = time.monotonic()
        step.reads[key] = (Seen(result["value"], result["version"])
                           if result["status"] == "found" else None)
        self.history.add(step)

    def _value(self) -> str:
        self.values += 1
        return f"{self.number}/{self.values}"

    def _shared(self) -> str:
        return f"shared {self.random.randrange(SHARED_KEYS)}"

    def _set(self, peer: Peer, stopped: threading.Event) -> None:
        key, value = self._shared(), self._value()
        self._write(peer, stopped, Step(self.number, time.monotonic(), writes={key: value}),
                    "set", key, value)

    def _get(self, peer: Peer, stopped: threading.Event) -> None:
        self._read(peer, stopped, self._shared())

    def _delete(self, peer: Peer, stopped: threading.Event) -> None:
        key = self._shared()
        self._write(peer, stopped, Step(self.number, time.monotonic(), writes={key: None}),
                    "delete", key)

    def _pair(self, peer: Peer, stopped: threading.Event) -> None:
        pair, value = self.random.randrange(PAIRS), self._value()
        keys = [f"pair {pair} left", f"pair {pair} right"]
        step = Step(self.number, time.monotonic(), writes={key: value for key in keys})
        self._write(peer, stopped, step, "transact",
                    {"then": [["set", [key, value]] for key in keys]})

    def _look(self, peer: Peer, stopped: threading.Event) -> None:
        pair = self.random.randrange(PAIRS)
        self._look_at(peer, stopped, [f"pair {pair} left", f"pair {pair} right", self._shared()])

    def _look_at(self, peer: Peer, stopped: threading.Event, keys: List[str]) -> None:
        """Reads the keys at one instant."""
        step = Step(self.number, time.monotonic())
        result = self._ask(peer, stopped, "get_many", keys)
        if result is None:
            return
        step.end = time.monotonic()
        for key, item in zip(keys, result["items"]):
            step.reads[key] = Seen(*item) if item is not None else None
        self.history.add(step)

    def _expiring(self, peer: Peer, stopped: threading.Event) -> None:
        key, value = f"expiring {self.number}", self._value()
        step = Step(self.number, time.monotonic(), writes={key: value}, ttl_s=SHORT_TTL_MS / 1000)
        self._write(peer, stopped, step, "set", key, value, {"ttl_ms": SHORT_TTL_MS})
        if step.end != NEVER:
            self._read(peer, stopped, key)

    def _lasting(self, peer: Peer, stopped: threading.Event) -> None:
        key, value = f"lasting {self.number}", self._value()
        step = Step(self.number, time.monotonic(), writes={key: value}, ttl_s=LONG_TTL_MS / 1000)
        self._write(peer, stopped, step, "set", key, value, {"ttl_ms": LONG_TTL_MS})

    def _increment(self, peer: Peer, stopped: threading.Event) -> None:
        if self.open_increment is None:
            self.once_number += 1
            key = f"counter {self.random.randrange(COUNTERS)}"
            self.open_increment = Step(self.number, time.monotonic(), writes={key: None},
                                       increment_by=self.random.randrange(1, 4))
        step = self.open_increment
        (key,) = step.writes
        result = self._ask(peer, stopped, "increment", key, step.increment_by,
                           {"once": [self.session, self.once_number, self.once_number - 1]})
        if result is None:
            return
        step.writes = {key: result["value"]}
        step.version = result["version"]
        step.end = time.monotonic()
        self.open_increment = None
        self.history.add(step)
