"""Many watchers and as many subscribers, in a process of their own, of whom some can stop reading.

    with Audience(server.endpoint, server.feed, count=1000, stopping=100) as audience:
        audience.let_some_stop()
        …                                # changes of keys below NEWS and below BULK
        told = audience.wait_for_news(version)
        audience.let_all_read()

Each has a socket of its own. All of them follow NEWS; those who may stop follow BULK as well, in the
same watch or subscription, which is what fills their connections while they do. One thread reads whatever is there: so that
they take little of a machine on which something is measured, and nothing of the test's interpreter.

Thread safety: none; an Audience belongs to one thread.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from typing import Any, Callable, Dict, List, Tuple

import msgpack
import zmq

from harness.peer import NOTIFICATION, request
from harness.subscriber import HEARTBEAT

PROCESSES = multiprocessing.get_context("fork")
ALL = "audience/"
NEWS, BULK = ALL + "news/", ALL + "bulk/"
BEGIN_TIMEOUT_S = 120.0
# Messages that one of them reads before the next has its turn.
MESSAGES_OF_TURN = 100
# While something is waited for, the clock is looked at this often.
ASK_INTERVAL_MS = 100
# libzmq reads on by itself into this, for who has stopped.
STOPPING_BUFFER_BYTES = 4096


@dataclasses.dataclass
class Told:
    """What one of them was told so far."""

    is_watcher: bool
    may_stop: bool
    news: List[int] = dataclasses.field(default_factory=list)  # Versions, in the order of arrival.
    bulk: int = 0  # Events.
    gaps: int = 0  # Events that say that the one before them, of their key, is missing.
    faults: List[str] = dataclasses.field(default_factory=list)


class _Member:
    """One of them: its socket, and what came of it."""

    def __init__(self, socket: "zmq.Socket[bytes]", told: Told):
        self.socket = socket
        self.told = told
        self.has_begun = False
        self._versions: Dict[str, int] = {}  # Of the last event by key.
        self._prefix = ALL if told.may_stop else NEWS

    def begin(self, endpoint: str, feed: str) -> None:
        if self.told.is_watcher:
            self.socket.connect(endpoint)
            self.socket.send(request(1, "watch", {"key_prefix": self._prefix}))
            return
        self.socket.subscribe(self._prefix)
        # The last one: when it is heard, the other counts.
        self.socket.subscribe(HEARTBEAT)
        self.socket.connect(feed)

    def read(self) -> None:
        """What is there, but not for too long."""
        for _ in range(MESSAGES_OF_TURN):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if self.told.is_watcher:
                self._take_items(frames[-1])
            else:
                self._take_publication(*frames)

    def _take_items(self, body: bytes) -> None:
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=0)
        unpacker.feed(body)
        for item in unpacker:
            if item[0] != NOTIFICATION:
                if item[2] is not None:
                    self.told.faults.append(f"refused: {item[2]}")
                continue
            _, events, status = item[2]
            if "error" in status:
                self.told.faults.append(f"ended: {status['error']}")
            self.has_begun |= status["synced"]
            for event in events:
                self._take_event(event)

    def _take_publication(self, key: bytes, event: bytes) -> None:
        if key != HEARTBEAT:
            self._take_event(msgpack.unpackb(event, raw=False))
        elif not self.has_begun:
            self.has_begun = True
            self.socket.unsubscribe(HEARTBEAT)

    def _take_event(self, event: Dict[str, Any]) -> None:
        key, version = event["key"], event["version"]
        known = self._versions.get(key)
        if known is not None and version <= known:
            self.told.faults.append(f"{key} of version {version} behind {known}")
        self.told.gaps += known is not None and event["previous_version"] != known
        self._versions[key] = version
        if key.startswith(NEWS):
            self.told.news.append(version)
        else:
            self.told.bulk += 1


class _Hall:
    """What runs in the process of the audience: an order is the name of a method and an argument."""

    def __init__(self, count: int, stopping: int, orders: Any):
        self._orders = orders
        self._contexts = {may_stop: zmq.Context() for may_stop in (False, True)}
        for may_stop, context in self._contexts.items():
            context.set(zmq.MAX_SOCKETS, 2 * count + 10)
            context.setsockopt(zmq.RCVHWM, 1 if may_stop else 0)
        self._contexts[True].setsockopt(zmq.RCVBUF, STOPPING_BUFFER_BYTES)
        self._members = [
            _Member(self._contexts[number < stopping].socket(kind),
                    Told(is_watcher=kind == zmq.DEALER, may_stop=number < stopping))
            for kind in (zmq.DEALER, zmq.SUB) for number in range(count)]
        self._by_socket = {member.socket: member for member in self._members}
        self.let_read(True)

    def run(self, endpoint: str, feed: str) -> None:
        for member in self._members:
            member.begin(endpoint, feed)
        while True:
            while not self._orders.poll(0):
                self._turn()
            order, argument = self._orders.recv()
            if order == "end":
                break
            self._orders.send(getattr(self, order)(argument))
        for context in self._contexts.values():
            context.destroy(linger=0)

    def let_read(self, all_of_them: bool) -> None:
        self._reading = [member for member in self._members
                         if all_of_them or not member.told.may_stop]
        self._poller = zmq.Poller()
        self._poller.register(self._orders.fileno(), zmq.POLLIN)
        for member in self._reading:
            self._poller.register(member.socket, zmq.POLLIN)

    def await_begin(self, timeout_s: float) -> bool:
        return self._turn_until(lambda member: member.has_begun, timeout_s)

    def await_news(self, wanted: Tuple[int, float]) -> List[Told]:
        version, timeout_s = wanted
        self._turn_until(lambda member: bool(member.told.news) and
                         member.told.news[-1] >= version, timeout_s)
        return [member.told for member in self._members]

    def _turn_until(self, holds: Callable[[_Member], bool], timeout_s: float) -> bool:
        """Reads until it holds for all who read; False when it does not in time."""
        deadline = time.monotonic() + timeout_s
        waiting = list(self._reading)
        while waiting := [member for member in waiting if not holds(member)]:
            if time.monotonic() > deadline:
                return False
            self._turn(ASK_INTERVAL_MS)
        return True

    def _turn(self, timeout_ms: int = -1) -> None:
        for socket, _ in self._poller.poll(timeout_ms):
            if socket != self._orders.fileno():
                self._by_socket[socket].read()


def _run(endpoint: str, feed: str, count: int, stopping: int, orders: Any) -> None:
    _Hall(count, stopping, orders).run(endpoint, feed)


class Audience:
    """`count` watchers and as many subscribers, of which the first `stopping` may stop."""

    def __init__(self, endpoint: str, feed: str, count: int, stopping: int):
        self._orders, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_run,
                                          args=(endpoint, feed, count, stopping, theirs))
        self._process.start()
        theirs.close()
        if not self._ask("await_begin", BEGIN_TIMEOUT_S):
            self.close()
            raise TimeoutError(f"the audience has not begun within {BEGIN_TIMEOUT_S} s")

    def let_some_stop(self) -> None:
        self._ask("let_read", False)

    def let_all_read(self) -> None:
        self._ask("let_read", True)

    def wait_for_news(self, version: int, timeout_s: float) -> List[Told]:
        """Waits until all who read have been told news of this version; what all were told."""
        told: List[Told] = self._ask("await_news", (version, timeout_s))
        return told

    def close(self) -> None:
        if self._process.is_alive():
            self._orders.send(("end", None))
        self._process.join()
        self._orders.close()

    def _ask(self, order: str, argument: Any) -> Any:
        self._orders.send((order, argument))
        return self._orders.recv()

    def __enter__(self) -> "Audience":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
