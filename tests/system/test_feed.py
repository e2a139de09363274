"""The change feed against a real server: nothing is lost, whatever is killed."""

from __future__ import annotations

import contextlib
import pathlib
import random
import threading
import time
from typing import List

import pytest
import zmq

from harness.disk import contents, kill, start_durable
from harness.peer import CallError, Peer, request, responses
from harness.server import Server, start_server, wait_until
from harness.watcher import Watching

TIMEOUT_S = 60
KEYS = 40


def write_something(peer: Peer, chance: random.Random) -> None:
    """One write of any kind to a few keys, so that they meet all the time."""
    key = f"key {chance.randrange(KEYS)}"
    what = chance.randrange(10)
    if what < 4:
        peer.call("set", key, chance.randrange(1000))
    elif what < 6:
        peer.call("delete", key)
    elif what == 6:
        peer.call("set", key, "soon gone", {"ttl_ms": chance.randrange(1, 50)})
    elif what == 7:
        peer.call("touch", key, None)
    else:
        other = f"key {(int(key[4:]) + 1) % KEYS}"
        peer.call("transact", {"then": [["set", [key, "both"]], ["delete", [other]]]})


def expect_the_store(watcher: Watching, peer: Peer) -> None:
    """Nobody writes any more: what the watcher was told is what is there."""
    last = peer.call("sync")["version"]
    # What has expired cannot be read any more, but is removed, and told so, a little later.
    watcher.read_until(lambda: watcher.synced and watcher.version >= last and
                       watcher.entries == contents(peer))


class Writers:
    """Threads that write until they are stopped; a server that goes away is survived."""

    def __init__(self, endpoint: str, count: int, seed: int):
        self._stop = threading.Event()
        self._failures: List[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(endpoint, seed + number))
                         for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, endpoint: str, seed: int) -> None:
        chance = random.Random(seed)
        try:
            with Peer(endpoint, context=zmq.Context.instance()) as peer:
                peer.socket.rcvtimeo = 1000
                while not self._stop.is_set():
                    write_something(peer, chance)
        except (TimeoutError, AssertionError, CallError) as reason:
            if not self._stop.is_set():
                self._failures.append(reason)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures


# ---- changes ------------------------------------------------------------------------------------


def test_changes_tells_every_kind_of_event(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        history, before = (peer.call("hello")[name] for name in ("history", "version"))
        first = peer.call("set", "a", 1)["version"]
        second = peer.call("set", "a", b"x", {"ttl_ms": 3_600_000})["version"]
        third = peer.call("touch", "a", None)["version"]
        fourth = peer.call("delete", "a")["version"]
        fifth = peer.call("transact", {"then": [["set", ["b", 2]], ["set", ["c", 3]]]})["version"]
        answer = peer.call("changes", [history, before])
        events = answer["events"]
        assert [(e["key"], e["op"], e["cause"], e["version"], e["previous_version"])
                for e in events[:4]] == [
            ("a", "set", "client", first, 0), ("a", "set", "client", second, first),
            ("a", "touch", "client", third, second), ("a", "delete", "client", fourth, third)]
        assert events[0]["value"] == 1 and "expires_at_ms" not in events[0]
        assert events[1]["value"] == b"x" and events[1]["expires_at_ms"] > 1_600_000_000_000
        assert "value" not in events[2] and "value" not in events[3]
        assert {(e["key"], e["cause"], e["version"]) for e in events[4:]} == {
            ("b", "transaction", fifth), ("c", "transaction", fifth)}
        assert (answer["version"], answer["more"]) == (fifth, False)
        quiet = peer.call("changes", [history, before], {"values": False, "key_prefix": "b"})
        assert [e["key"] for e in quiet["events"]] == ["b"] and "value" not in quiet["events"][0]


def test_a_limit_keeps_transactions_whole(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        history, before = (peer.call("hello")[name] for name in ("history", "version"))
        for number in range(5):
            peer.call("transact", {"then": [["set", [f"{number} {i}", i]] for i in range(4)]})
        told: List[int] = []
        while True:
            answer = peer.call("changes", [history, before], {"limit": 3})
            assert len(answer["events"]) == 4
            told += [event["version"] for event in answer["events"]]
            before = answer["version"]
            if not answer["more"]:
                break
        assert len(told) == 20 and told == sorted(told)


def test_waiting_for_changes_holds_nothing_back(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        history, version = (peer.call("hello")[name] for name in ("history", "version"))
        waiting = request(1, "ping") + request(2, "changes", [history, version],
                                               {"wait_ms": 60_000}) + request(3, "get", "a")
        peer.send(waiting)
        for _ in range(10):
            peer.send(request(4, "ping"))
            assert responses(peer.receive()[-1]) == [[1, 4, None, {"status": "ok"}]]
        peer.send(request(5, "set", "a", 7))
        answers = sorted((responses(peer.receive()[-1]) for _ in range(2)), key=len)
        assert answers[0][0][1] == 5
        assert [answer[1] for answer in answers[1]] == [1, 2, 3]
        assert [event["value"] for event in answers[1][1][3]["events"]] == [7]
        # What stands behind it in the body ran when the body did.
        assert answers[1][2][3]["status"] == "not_found"


def test_waiting_ends_by_itself_without_an_event(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        hello = peer.call("hello")
        begin = time.monotonic()
        answer = peer.call("changes", [hello["history"], hello["version"]], {"wait_ms": 200})
        assert answer == {"events": [], "version": hello["version"], "more": False}
        assert time.monotonic() - begin >= 0.2


def test_a_token_of_elsewhere_is_named(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        history = peer.call("hello")["history"]
        for method, params in (("changes", [["0" * 16, 0]]), ("watch", [{"since": ["0" * 16, 0]}])):
            with pytest.raises(CallError) as reason:
                peer.call(method, *params)
            assert reason.value.code == "unknown_history"
        with pytest.raises(CallError) as reason:
            peer.call("watch", {"since": [history, 2 ** 50]})
        assert reason.value.code == "history_lost" and reason.value.error["oldest"] == 0


def test_a_stop_answers_who_waits() -> None:
    with start_server() as started, Peer(started.endpoint) as peer:
        hello = peer.call("hello")
        peer.send(request(1, "changes", [hello["history"], 0], {"wait_ms": 60_000}))
        wait_until(lambda: stat_of(started, "changes_waiting") == 1, "the call", TIMEOUT_S)
        assert started.stop() == 0
        assert responses(peer.receive()[-1])[0][3]["events"] == []


def stat_of(server: Server, name: str) -> int:
    with Peer(server.endpoint) as peer:
        return int(peer.call("stats")[name])


# ---- watch --------------------------------------------------------------------------------------


def test_a_watch_tells_what_changes_after_it(server: Server) -> None:
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        peer.call("set", "before", 0)
        watcher.watch({})
        watcher.read_until(lambda: watcher.synced)
        assert watcher.events == []
        peer.call("set", "a", 1)
        last = peer.call("delete", "a")["version"]
        watcher.read_until(lambda: watcher.version >= last)
        assert [event["op"] for event in watcher.events] == ["set", "delete"]


def test_synced_comes_behind_what_was_acknowledged(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        history = peer.call("hello")["history"]
        for number in range(50):
            before = peer.call("sync")["version"]
            version = peer.call("set", "acknowledged", number)["version"]
            with Watching(server.endpoint) as watcher:
                watcher.watch({"since": [history, before]})
                watcher.read_until(lambda: watcher.synced)
                assert watcher.version >= version


def test_a_quiet_watch_is_told_so_every_second(server: Server) -> None:
    with Watching(server.endpoint) as watcher:
        watcher.watch({"key_prefix": "nothing"})
        begin = time.monotonic()
        watcher.read_until(lambda: watcher.messages == 4)
        assert 2.5 < time.monotonic() - begin < 10
        assert watcher.events == []


def test_unwatch_ends_it_and_knows_only_its_own(server: Server) -> None:
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        watcher.watch({})
        assert peer.call("unwatch", watcher.id) == {"status": "not_found"}
        assert peer.call("credit", watcher.id, 1) == {"status": "not_found"}
        assert watcher.call("unwatch", watcher.id) == {"status": "ok"}
        assert watcher.call("unwatch", watcher.id) == {"status": "not_found"}
        wait_until(lambda: stat_of(server, "watches") == 0, "the end of the watch", TIMEOUT_S)


def test_a_query_tells_what_matches_and_what_left(server: Server) -> None:
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        peer.call("set", "old", "yes")
        watcher.watch({"query": "y", "snapshot": True})
        watcher.read_until(lambda: watcher.synced)
        assert set(watcher.entries) == {"old"}
        peer.call("set", "a", "yes")
        peer.call("touch", "a", 3_600_000)
        peer.call("set", "a", "no")
        # What it has can be seen while it is told: without a match, a touch is a leaving too.
        touched = peer.call("touch", "a", 3_600_000)["version"]
        watcher.read_until(lambda: watcher.version >= touched)
        peer.call("set", "a", "yellow")
        last = peer.call("delete", "a")["version"]
        watcher.read_until(lambda: watcher.version >= last)
        told = [(event["op"], event.get("value")) for event in watcher.events[1:]]
        assert told == [("set", "yes"), ("touch", None), ("left", None), ("left", None),
                        ("set", "yellow"), ("left", None)]


def test_credit_is_what_may_come(server: Server) -> None:
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        for number in range(10):
            peer.call("set", f"{number}", number)
        watcher.watch({"snapshot": True, "credit": 4})
        watcher.read_until(lambda: len(watcher.events) >= 4)
        watcher.read_until(lambda: watcher.messages >= 4)
        assert len(watcher.events) == 4 and not watcher.synced
        assert watcher.call("credit", watcher.id, 7) == {"status": "ok"}
        watcher.read_until(lambda: watcher.synced)
        assert set(watcher.entries) == {str(number) for number in range(10)}
        peer.call("set", "more", 1)
        last = peer.call("set", "one too many", 1)["version"]
        watcher.read_until(lambda: len(watcher.events) == 11)
        assert watcher.version < last
        watcher.call("credit", watcher.id, 1)
        watcher.read_until(lambda: watcher.version >= last)


def test_a_peer_that_is_gone_is_forgotten(server: Server) -> None:
    with Watching(server.endpoint) as watcher:
        watcher.watch({})
        watcher.watch({"key_prefix": "a"})
        assert stat_of(server, "watches") == 2
    wait_until(lambda: stat_of(server, "watches") == 0, "the end of the watches", TIMEOUT_S)


def test_a_peer_that_goes_while_it_asks_leaves_no_watch(server: Server) -> None:
    """Its end is seen before its request has run: that stands behind thousands of others."""
    body = b"".join(request(number, "get", "a") for number in range(30_000))
    for _ in range(5):
        with Peer(server.endpoint) as peer:
            peer.socket.linger = -1
            peer.send(body + request(30_000, "watch", {}))
    wait_until(lambda: stat_of(server, "requests_watch") == 5, "the requests", TIMEOUT_S)
    wait_until(lambda: stat_of(server, "watches") == 0, "the end of the watches", TIMEOUT_S)


def test_a_watch_without_history_is_told_and_ends() -> None:
    """A reader that stops is not fed beyond its bound; when the ring has gone on, it is told."""
    with start_server() as started, Peer(started.endpoint) as peer:
        with Watching(started.endpoint) as watcher:
            watcher.watch({"credit": 0})
            value = b"x" * (1 << 20)
            for number in range(100):
                peer.call("set", f"{number % 10}", value)
            watcher.call("credit", watcher.id, 1000)
            watcher.read_until(lambda: watcher.error is not None)
            assert watcher.error is not None and watcher.error["code"] == "history_lost"
            assert watcher.error["oldest"] > watcher.version
        wait_until(lambda: stat_of(started, "watches") == 0, "the end of the watch", TIMEOUT_S)


def test_a_snapshot_under_writers_is_the_store_at_its_version() -> None:
    with start_server() as started, Peer(started.endpoint) as peer:
        for number in range(3000):
            peer.call("set", f"filler {number}", number)
        writers = Writers(started.endpoint, 2, seed=5)
        with contextlib.ExitStack() as stack:
            watchers = [stack.enter_context(Watching(started.endpoint)) for _ in range(5)]
            for watcher in watchers:
                watcher.watch({"snapshot": True})
                watcher.read_until(lambda w=watcher: w.synced)  # type: ignore[misc]
            writers.stop()
            for watcher in watchers:
                expect_the_store(watcher, peer)


@pytest.mark.parametrize("seed", range(3))
def test_a_watcher_that_resumes_across_crashes_has_the_store(tmp_path: pathlib.Path,
                                                            seed: int) -> None:
    chance = random.Random(seed)
    data = tmp_path / "data"
    watcher = None
    for cycle in range(4):
        with start_durable(data) as started:
            if watcher is None:
                watcher = Watching(started.endpoint)
                watcher.watch({"snapshot": True})
            else:
                watcher.reconnect(started.endpoint)
                watcher.resume()
            with Peer(started.endpoint) as peer:
                for _ in range(chance.randrange(50, 200)):
                    write_something(peer, chance)
                version = peer.call("sync")["version"]
            # Sometimes it is behind when the server is killed, and takes the rest from the log.
            if chance.random() < 0.5 or cycle == 0:
                watcher.read_until(lambda: watcher.synced and watcher.version >= version)
            kill(started)
    assert watcher is not None
    with watcher, start_durable(data) as started, Peer(started.endpoint) as peer:
        watcher.reconnect(started.endpoint)
        watcher.resume()
        expect_the_store(watcher, peer)
        assert started.stop() == 0, started.log()
