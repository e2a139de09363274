"""The PUB endpoint as plain SUB sockets see it; docs/PROTOCOL.md, "The PUB endpoint"."""

from __future__ import annotations

import time
from typing import Iterator

import pytest

from harness.peer import Peer
from harness.server import Server, launch, start_server
from harness.subscriber import HEARTBEAT, Subscriber

FREE_PORT = "tcp://127.0.0.1:0"


@pytest.fixture
def server(transport: str) -> Iterator[Server]:
    with start_server(feed=FREE_PORT) as started:
        yield started
        assert started.stop() == 0, started.log()


def test_a_subscriber_gets_the_events_of_its_prefix(server: Server) -> None:
    with Peer(server.endpoint) as peer, Subscriber(server.feed, b"a/") as subscriber:
        subscriber.wait_until_subscribed(peer, "a/begin")
        peer.call("set", "b/1", "not for us")
        first = peer.call("set", "a/1", "red")["version"]
        second = peer.call("set", "a/1", b"blue", {"ttl_ms": 3_600_000})["version"]
        third = peer.call("touch", "a/1", None)["version"]
        fourth = peer.call("delete", "a/1")["version"]
        assert subscriber.receive() == (b"a/1", {
            "key": "a/1", "op": "set", "cause": "client", "version": first, "previous_version": 0,
            "value": "red"})
        key, event = subscriber.receive()
        assert event.pop("expires_at_ms") > 1_600_000_000_000
        assert (key, event) == (b"a/1", {
            "key": "a/1", "op": "set", "cause": "client", "version": second,
            "previous_version": first, "value": b"blue"})
        assert subscriber.receive() == (b"a/1", {
            "key": "a/1", "op": "touch", "cause": "client", "version": third,
            "previous_version": second})
        assert subscriber.receive() == (b"a/1", {
            "key": "a/1", "op": "delete", "cause": "client", "version": fourth,
            "previous_version": third})


def test_expiry_and_transactions_are_published(server: Server) -> None:
    with Peer(server.endpoint) as peer, Subscriber(server.feed) as subscriber:
        subscriber.wait_until_subscribed(peer, "begin")
        both = peer.call("transact", {"then": [["set", ["x", 1]], ["set", ["y", 2]]]})["version"]
        events = [subscriber.receive_event() for _ in range(2)]
        assert sorted(event["key"] for event in events) == ["x", "y"]
        assert {(e["cause"], e["version"]) for e in events} == {("transaction", both)}
        set_at = peer.call("set", "short", 1, {"ttl_ms": 10})["version"]
        assert subscriber.receive_event()["version"] == set_at
        gone = subscriber.receive_event()
        assert (gone["key"], gone["op"], gone["cause"], gone["previous_version"]) == (
            "short", "delete", "expired", set_at)


def test_a_key_of_any_bytes_is_the_first_frame(server: Server) -> None:
    key = b"\xff\x00\xfe"
    with Peer(server.endpoint) as peer, Subscriber(server.feed) as subscriber:
        subscriber.wait_until_subscribed(peer, "begin")
        peer.call("set", key, None)
        topic, event = subscriber.receive()
        assert (topic, event["key"], event["value"]) == (key, key, None)


def test_the_heart_beats_every_second(server: Server) -> None:
    with Peer(server.endpoint) as peer, Subscriber(server.feed, HEARTBEAT) as subscriber:
        version = peer.call("set", "a", 1)["version"]
        assert subscriber.receive()[0] == HEARTBEAT
        begin = time.monotonic()
        for _ in range(2):
            key, beat = subscriber.receive()
            assert (key, beat) == (HEARTBEAT, {"history": peer.call("hello")["history"],
                                               "version": version})
        assert 1.0 < time.monotonic() - begin < 10


def test_a_burst_reaches_who_reads(server: Server) -> None:
    with Peer(server.endpoint) as peer, Subscriber(server.feed, b"burst/") as subscriber:
        subscriber.wait_until_subscribed(peer, "burst/begin")
        for begin in range(0, 20_000, 1000):
            peer.call_all([("set", f"burst/{number % 100}", number)
                           for number in range(begin, begin + 1000)])
            for number in range(begin, begin + 1000):
                assert subscriber.receive_event()["value"] == number


def test_nobody_there_costs_writers_nothing(server: Server) -> None:
    """Then changes are not even looked at."""
    with Peer(server.endpoint) as peer:
        for number in range(100):
            peer.call("set", f"{number}", number)
        assert peer.call("stats")["publications"] == 0


def test_the_feed_is_where_hello_says(transport: str) -> None:
    with launch(["--data", "none", "--listen", "tcp://127.0.0.1:0"]) as server:
        server.wait_until_ready()
        with Peer(server.endpoint) as peer:
            feed = peer.call("hello")["endpoints"]["feed"]
            assert feed == server.feed and feed.startswith("tcp://127.0.0.1:")
            with Subscriber(feed, b"a") as subscriber:
                subscriber.wait_until_subscribed(peer, "a")


def test_off_means_off(transport: str) -> None:
    with start_server(feed="off") as server, Peer(server.endpoint) as peer:
        assert peer.call("hello")["endpoints"]["feed"] is None
        assert server.ports["feed"] is None


def test_ipc_carries_the_feed_too(transport: str) -> None:
    with start_server(feed="ipc://{folder}/feed") as server, Peer(server.endpoint) as peer:
        with Subscriber(server.feed, b"a") as subscriber:
            subscriber.wait_until_subscribed(peer, "a")
