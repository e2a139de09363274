"""Watchers that were away for long resume from the log that is kept for them, beyond what the server
has in memory, and also after a restart. Where it is not kept they are told.
"""

from __future__ import annotations

import pathlib
from typing import Any, Dict, Iterator, List

import pytest

from harness.disk import contents, kill, start_durable
from harness.peer import CallError, Peer
from harness.server import wait_until
from harness.watcher import Watching

TIMEOUT_S = 60
MIB = 1 << 20
# Two segments of the log and more (docs/FORMAT.md), and more than twice what the feed has in memory
# (base/limits.h, kRingBytes).
LARGE_WRITES = 160
NOT_KEPT = ["--log-keep-bytes", "0"]


def write(peer: Peer) -> List[int]:
    """Changes of every kind, old ones small and new ones large; their versions."""
    versions = []
    for number in range(100):
        versions.append(peer.call("set", f"early {number % 20}", number)["version"])
        if number % 7 == 0:
            versions.append(peer.call("delete", f"early {number % 20}")["version"])
    versions.append(peer.call("touch", "early 1", 3_600_000)["version"])
    versions.append(peer.call("transact", {"then": [["set", ["early 2", "both"]],
                                                    ["delete", ["early 3"]]]})["version"])
    for number in range(LARGE_WRITES):
        versions.append(peer.call("set", f"large {number % 10}", b"x" * MIB)["version"])
    return versions


def all_changes(peer: Peer, history: str, after: int) -> Iterator[Dict[str, Any]]:
    more = True
    while more:
        answer = peer.call("changes", [history, after], {"values": False})
        yield from answer["events"]
        after, more = answer["version"], answer["more"]


def expect_everything(endpoint: str, history: str, after: int, versions: List[int]) -> None:
    """`changes` and `watch` tell all of these versions behind the token, and what comes next."""
    with Peer(endpoint) as peer, Watching(endpoint) as watcher:
        told = [event["version"] for event in all_changes(peer, history, after)]
        # A transaction has one version and two events.
        assert sorted(set(told)) == versions and told == sorted(told)
        assert len(told) == len(versions) + 1
        watcher.watch({"since": [history, after]})
        watcher.read_until(lambda: watcher.synced and watcher.version >= versions[-1])
        assert [event["version"] for event in watcher.events] == told
        assert watcher.entries == contents(peer)
        # It is back in what the server has in memory, and goes on without a seam.
        last = peer.call("set", "early 0", "the newest")["version"]
        watcher.read_until(lambda: watcher.version >= last)
        assert [event["version"] for event in watcher.events] == [*told, last]
        versions.append(last)


def expect_history_lost(endpoint: str, history: str, after: int) -> None:
    with Peer(endpoint) as peer:
        for method, params in (("changes", [[history, after]]),
                               ("watch", [{"since": [history, after]}])):
            with pytest.raises(CallError) as reason:
                peer.call(method, *params)
            assert reason.value.code == "history_lost", reason.value
            assert reason.value.error["oldest"] > after


def test_what_memory_has_forgotten_is_told_from_the_kept_log(tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data"
    with start_durable(data, ["--sync", "never"]) as server:
        with Peer(server.endpoint) as peer:
            history, before = (peer.call("hello")[name] for name in ("history", "version"))
            versions = write(peer)
            # A start needs nothing of the log that is in front of this any more.
            peer.call("save")
        expect_everything(server.endpoint, history, before, versions)
        kill(server)
    with start_durable(data) as server:
        expect_everything(server.endpoint, history, before, versions)
        assert server.stop() == 0, server.log()


def test_what_is_not_kept_is_told_to_be_lost(tmp_path: pathlib.Path) -> None:
    """The same without a log that is kept: so it is the log that has it above, not memory."""
    data = tmp_path / "data"
    with start_durable(data, ["--sync", "never", *NOT_KEPT]) as server:
        with Peer(server.endpoint) as peer:
            history, before = (peer.call("hello")[name] for name in ("history", "version"))
            write(peer)
            peer.call("save")
            wait_until(lambda: bool(peer.call("stats")["log_oldest"] > before), "old log goes",
                       TIMEOUT_S)
        expect_history_lost(server.endpoint, history, before)
        kill(server)
    with start_durable(data, NOT_KEPT) as server:
        expect_history_lost(server.endpoint, history, before)
        assert server.stop() == 0, server.log()
