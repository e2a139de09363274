"""Many watchers and subscribers, of whom a tenth stops reading: the others are told everything,
the server's memory stays in its bound, and who stopped catches up or is told that it cannot.

ENTREPOT_NIGHTLY=1 has a thousand of each.
"""

from __future__ import annotations

import os
import threading
from typing import Callable, Dict, Iterator, List

import pytest
import zmq

from harness.peer import Peer
from harness.server import Server, start_server, wait_until
from harness.subscriber import Subscriber
from harness.watcher import Watching

pytestmark = pytest.mark.alone

NIGHTLY = bool(os.environ.get("ENTREPOT_NIGHTLY"))
COUNT = 1000 if NIGHTLY else 30
STOPPED = COUNT // 10
EVENTS = 400
VALUE = b"v" * 20_000
TIMEOUT_S = 600 if NIGHTLY else 120
# Of one that stopped: notifications (base/limits.h, kOutputBytesOfPeer) with one more that is being
# sent, or publications (zmtp/limits.h, subscriber_bytes); libzmq may hold 64 MiB of large events for
# all together. Beside them there is the ring with 64 MiB, and what the allocator has not given back.
STOPPED_BYTES = 5 << 20
OTHER_BYTES = 256 << 20


@pytest.fixture
def server(transport: str) -> Iterator[Server]:
    with start_server(feed="tcp://127.0.0.1:0") as started:
        yield started
        assert started.stop() == 0, started.log()


def small_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """For peers that stop: libzmq reads on by itself up to these bounds."""
    context = zmq.Context()
    context.setsockopt(zmq.RCVHWM, 1)
    context.setsockopt(zmq.RCVBUF, 4096)
    return context


def write(peer: Peer) -> List[int]:
    """The versions of EVENTS changes."""
    return [peer.call("set", f"key {number % 50}", VALUE)["version"] for number in range(EVENTS)]


def in_threads(work: List[Callable[[], None]]) -> None:
    failures: List[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except (AssertionError, TimeoutError) as reason:
            failures.append(reason)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_watchers_that_stop_cost_the_others_nothing(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        context = small_context()
        stopped = [Watching(server.endpoint, context=context) for _ in range(STOPPED)]
        reading = [Watching(server.endpoint) for _ in range(COUNT - STOPPED)]
        for watcher in stopped + reading:
            watcher.watch({})
        before = server.resident_bytes()
        versions = write(peer)
        in_threads([lambda w=watcher: w.read_until(  # type: ignore[misc]
            lambda: w.version >= versions[-1], TIMEOUT_S) for watcher in reading])
        for watcher in reading:
            assert [event["version"] for event in watcher.events] == versions
        grown = server.resident_bytes() - before
        assert grown < STOPPED * STOPPED_BYTES + OTHER_BYTES, grown
        # They have missed nothing: what did not fit waits in the ring.
        in_threads([lambda w=watcher: w.read_until(  # type: ignore[misc]
            lambda: w.version >= versions[-1], TIMEOUT_S) for watcher in stopped])
        for watcher in stopped:
            assert [event["version"] for event in watcher.events] == versions
        for watcher in stopped + reading:
            watcher.close()
        context.destroy(linger=0)


def test_a_watcher_that_stops_for_too_long_is_told(server: Server) -> None:
    """Without a log the ring is all there is, and when it has gone on, the history is lost."""
    with Peer(server.endpoint) as peer:
        context = small_context()
        watcher = Watching(server.endpoint, context=context)
        watcher.watch({})
        value = b"v" * (1 << 20)
        for number in range(120):
            peer.call("set", f"key {number % 10}", value)
        watcher.read_until(lambda: watcher.error is not None)
        assert watcher.error is not None and watcher.error["code"] == "history_lost"
        assert watcher.version < watcher.error["oldest"]
        # Up to there nothing is missing.
        told = [event["version"] for event in watcher.events]
        assert told == list(range(1, watcher.version + 1))
        watcher.close()
        context.destroy(linger=0)


def test_subscribers_that_stop_cost_the_others_nothing(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        context = small_context()
        stopped = [Subscriber(server.feed, receive_high_water_mark=1, context=context)
                   for _ in range(STOPPED)]
        reading = [Subscriber(server.feed) for _ in range(COUNT - STOPPED)]
        for subscriber in reading:
            subscriber.wait_until_subscribed(peer, "begin")
        before = server.resident_bytes()
        versions: List[int] = []
        seen: Dict[int, List[int]] = {number: [] for number in range(len(reading))}

        def read(number: int) -> None:
            while len(seen[number]) < EVENTS:
                event = reading[number].receive_event()
                if event["key"] != "begin":
                    seen[number].append(event["version"])

        readers = threading.Thread(target=in_threads, args=(
            [lambda n=number: read(n) for number in seen],))  # type: ignore[misc]
        readers.start()
        versions = write(peer)
        readers.join()
        assert all(told == versions for told in seen.values())
        grown = server.resident_bytes() - before
        assert grown < STOPPED * STOPPED_BYTES + OTHER_BYTES, grown
        for subscriber in stopped + reading:
            subscriber.close()
        context.destroy(linger=0)


def test_what_is_read_ahead_for_watchers_has_a_bound(server: Server) -> None:
    """Each of them wants a snapshot of which it takes one event."""
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        for number in range(300):
            peer.call("set", f"key {number}", VALUE)
        before = server.resident_bytes()
        for _ in range(900):
            watcher.watch({"snapshot": True, "credit": 1})
        watcher.read_until(lambda: watcher.messages > 0)
        wait_until(lambda: bool(peer.call("stats")["watches"] == 900), "the watches", TIMEOUT_S)
        # A page for each would be 230 MB, and what was told is 18 MB.
        assert server.resident_bytes() - before < 100 << 20
