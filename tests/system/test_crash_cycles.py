"""kill -9 again and again, under many clients that write all the time.

Every client records what it did and saw; at the end one order of revisions must explain all of it
(harness.history): every acknowledged write is there, no transaction is there by half, no revision
was given twice, nothing is read after its time. Increments are sent again with the same `once` by
the next cycle, so their sums must be exact.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import time

from harness.disk import (contents, fill, kill, launch_durable, run_tool, snapshots, start_durable,
                          take_snapshot)
from harness.history import History, check
from harness.peer import Peer
from harness.server import wait_until
from harness.workload import Client, all_keys, answers_of, at_work, errors_of

CYCLES = 200 if os.environ.get("ENTREPOT_NIGHTLY") else 20
CLIENTS = 50
ANSWERS_A_CYCLE = 1500
TIMEOUT_S = 60
# Every which cycle has a snapshot written while the clients work.
SNAPSHOT_EVERY = 3
# A start over a small folder takes about this long.
START_S = 0.05


def chances() -> random.Random:
    """A source of chance whose seed is printed, and taken from ENTREPOT_SEED."""
    seed = int(os.environ.get("ENTREPOT_SEED") or random.randrange(2**32))
    print(f"ENTREPOT_SEED={seed}")
    return random.Random(seed)


def test_kill_9_loses_nothing_and_repeats_nothing(tmp_path: pathlib.Path) -> None:
    chance = chances()
    history = History()
    clients = [Client(number, history, chance.randrange(2**32)) for number in range(CLIENTS)]
    reader = Client(CLIENTS, history, 0)
    told = 0
    names = set()
    for cycle in range(CYCLES):
        with start_durable(tmp_path / "data") as server:
            with Peer(server.endpoint) as peer:
                greeting = peer.call("hello")
                names.add(greeting["history"])
                assert greeting["version"] >= told, "hello forgot a revision that was told"
                reader.read_all(peer, all_keys(clients))
            before = answers_of(clients)
            until = before + chance.randrange(ANSWERS_A_CYCLE // 2, ANSWERS_A_CYCLE)
            with at_work(clients, server.endpoint):
                wait_until(lambda: answers_of(clients) > before + CLIENTS or bool(
                    errors_of(clients)), "the clients work", TIMEOUT_S)
                if cycle % SNAPSHOT_EVERY == 0:
                    server.send_signal(signal.SIGUSR1)
                wait_until(lambda: answers_of(clients) > until or bool(errors_of(clients)),
                           "the clients go on", TIMEOUT_S)
                kill(server)
            assert errors_of(clients) == [], (cycle, server.log())
        told = max([told, *(step.version for step in history.steps())])

    with start_durable(tmp_path / "data") as server, Peer(server.endpoint) as peer:
        for client in clients:
            client.finish(peer)
        reader.read_all(peer, all_keys(clients))
        assert server.stop() == 0
    assert run_tool("verify", str(tmp_path / "data")).returncode == 0
    assert snapshots(tmp_path / "data"), "no cycle has written a snapshot"
    assert len(names) == 1
    steps = history.steps()
    assert sum(step.increment_by is not None for step in steps) > CYCLES
    assert check(steps) == []


def test_kill_9_while_it_starts_loses_nothing(tmp_path: pathlib.Path) -> None:
    """A start that is broken off at any moment leaves a folder that means the same."""
    chance = chances()
    data = tmp_path / "data"
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        take_snapshot(server, peer)
        peer.call("delete", "key 0")
        wanted = contents(peer)
        kill(server)
    last = max(version for _, version in wanted.values())
    for _ in range(CYCLES):
        with launch_durable(data) as server:
            time.sleep(chance.uniform(0, START_S))  # The moment of the crash.
            kill(server)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert contents(peer) == wanted
        assert peer.call("set", "next", 1)["version"] > last
        assert server.stop() == 0
    assert run_tool("verify", str(data)).returncode == 0
