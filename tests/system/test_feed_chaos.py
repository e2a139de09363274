"""Watchers across a network that fails and a server that is killed: what they were told is what is
there, and no key's chain of events has a break. ENTREPOT_NIGHTLY=1 has many more rounds."""

from __future__ import annotations

import os
import pathlib
import random
import threading
from typing import List

import pytest

from harness.disk import contents, kill, start_durable
from harness.peer import CallError, Peer
from harness.proxy import CuttingProxy
from harness.server import Server
from harness.watcher import Watching

NIGHTLY = bool(os.environ.get("ENTREPOT_NIGHTLY"))
# Of each transport; QUICK_SEEDS times two in all.
SEEDS = 50 if NIGHTLY else 5
RACES = 10_000 if NIGHTLY else 2_500
WATCHERS = 3
KEYS = 60
# A quiet watch is heard of every second.
PATIENCE_S = 1.5


def write_some(endpoint: str, chance: random.Random, count: int) -> None:
    with Peer(endpoint) as peer:
        for _ in range(count):
            key = f"key {chance.randrange(KEYS)}"
            what = chance.randrange(8)
            if what < 4:
                peer.call("set", key, chance.randrange(1000))
            elif what < 6:
                peer.call("delete", key)
            elif what == 6:
                peer.call("set", key, "soon gone", {"ttl_ms": chance.randrange(1, 30)})
            else:
                other = f"key {(int(key[4:]) + 1) % KEYS}"
                peer.call("transact", {"then": [["set", [key, "both"]], ["delete", [other]]]})


class Followers:
    """Watchers in threads of their own, which follow until each has been told `goal`."""

    def __init__(self, endpoint: str):
        self.watchers = [Watching(endpoint, PATIENCE_S) for _ in range(WATCHERS)]
        self._goal = threading.Event()
        self._version = 0
        self._failures: List[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(watcher,))
                         for watcher in self.watchers]
        for thread in self._threads:
            thread.start()

    def _run(self, watcher: Watching) -> None:
        try:
            try:
                watcher.watch({"snapshot": True})
            except TimeoutError:
                pass
            watcher.follow_until(lambda: self._goal.is_set() and watcher.synced and
                                 watcher.version >= self._version)
        except (AssertionError, CallError) as reason:
            self._failures.append(reason)

    def finish(self, version: int) -> None:
        self._version = version
        self._goal.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures


def disturb(proxy: CuttingProxy, chance: random.Random) -> None:
    what = chance.randrange(4)
    proxy.is_stalled = what == 0
    proxy.delay_s = chance.random() * 0.02 if what == 1 else 0.0
    if what == 2:
        proxy.cut_all()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_whatever_fails(tmp_path: pathlib.Path, seed: int) -> None:
    chance = random.Random(seed)
    data = tmp_path / "data"
    server = start_durable(data)
    try:
        with CuttingProxy(server.endpoint) as proxy:
            followers = Followers(proxy.endpoint)
            for _ in range(3):
                for _ in range(4):
                    disturb(proxy, chance)
                    write_some(server.endpoint, chance, chance.randrange(20, 60))
                if chance.random() < 0.7:
                    server = restarted(server, data, proxy)
            proxy.is_stalled = False
            proxy.delay_s = 0.0
            with Peer(server.endpoint) as peer:
                # What has a time to live is gone, and told so, before this.
                while any(value == "soon gone" for value, _ in contents(peer).values()):
                    peer.call("ping")
                peer.call("set", "the end", seed)
                version = peer.call("sync")["version"]
                followers.finish(version)
                wanted = contents(peer)
                for watcher in followers.watchers:
                    watcher.follow_until(lambda w=watcher: w.entries == wanted)  # type: ignore
                    watcher.close()
        assert server.stop() == 0, server.log()
    finally:
        server.close()


def restarted(server: Server, data: pathlib.Path, proxy: CuttingProxy) -> Server:
    kill(server)
    started = start_durable(data)
    server.close()
    proxy.target = started.endpoint
    proxy.cut_all()
    return started


def test_a_change_right_behind_the_snapshot_is_never_lost(server: Server) -> None:
    """The race of the ZeroMQ Guide's Clone pattern: the change falls between the snapshot and the
    subscription to what comes after it."""
    with Peer(server.endpoint) as peer, Watching(server.endpoint) as watcher:
        peer.call_all([("set", f"filler {number}", number) for number in range(100)])
        for number in range(RACES):
            watcher.synced = False
            watcher.ask("watch", {"snapshot": True, "key_prefix": "raced"})
            version = peer.call("set", "raced", number)["version"]
            watcher.take_watch()
            watcher.read_until(lambda: watcher.synced and watcher.version >= version)
            assert watcher.entries["raced"] == (number, version)
            watcher.call("unwatch", watcher.id)


def test_a_revision_that_a_crash_skipped_is_lost(tmp_path: pathlib.Path) -> None:
    """Somebody may have seen it, by ack "applied", before the crash undid it."""
    with start_durable(tmp_path / "data") as server, Peer(server.endpoint) as peer:
        history = peer.call("hello")["history"]
        last = peer.call("set", "a", 1)["version"]
        kill(server)
    with start_durable(tmp_path / "data") as server, Peer(server.endpoint) as peer:
        assert peer.call("set", "a", 2)["version"] > last + 1
        assert [event["previous_version"]
                for event in peer.call("changes", [history, last])["events"]] == [last]
        for method, params in (("changes", [[history, last + 1]]),
                               ("watch", [{"since": [history, last + 1]}])):
            with pytest.raises(CallError) as reason:
                peer.call(method, *params)
            assert reason.value.code == "history_lost"
        assert server.stop() == 0, server.log()
