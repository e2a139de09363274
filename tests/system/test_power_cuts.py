"""Power cuts under clients that do a bit of everything, on ext4 and xfs: whatever was acknowledged is
there when the machine is on again, and the history of all clients is one that a single store could
have had."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import sys
from typing import Iterator

import pytest

from harness.disk import NotAllowedHere, run_tool, start_durable
from harness.history import History, check
from harness.peer import Peer, request
from harness.power import MAKE, PowerDisk, power_disk
from harness.server import wait_until
from harness.workload import Client, all_keys, answers_of, at_work, errors_of

CUTS = 50 if os.environ.get("ENTREPOT_NIGHTLY") else 3
CLIENTS = 20
ANSWERS_A_CUT = 600
TIMEOUT_S = 120


@pytest.fixture(params=sorted(MAKE))
def disk(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[PowerDisk]:
    try:
        with power_disk(tmp_path, request.param) as mounted:
            yield mounted
    except NotAllowedHere as reason:
        print(f"SKIPPED LOUDLY: {reason}", file=sys.stderr)
        pytest.skip(str(reason))


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: PowerDisk) -> None:
    seed = int(os.environ.get("ENTREPOT_SEED") or random.randrange(2**32))
    print(f"ENTREPOT_SEED={seed}")
    chance = random.Random(seed)
    history = History()
    clients = [Client(number, history, chance.randrange(2**32)) for number in range(CLIENTS)]
    reader = Client(CLIENTS, history, 0)
    data = disk.folder / "data"
    for cut in range(CUTS):
        with start_durable(data) as server:
            with Peer(server.endpoint) as peer:
                reader.read_all(peer, all_keys(clients))
            before = answers_of(clients)
            until = before + chance.randrange(ANSWERS_A_CUT // 2, ANSWERS_A_CUT)
            with at_work(clients, server.endpoint):
                if cut % 2 == 0:
                    server.send_signal(signal.SIGUSR1)  # A snapshot is under way, or was.
                wait_until(lambda: answers_of(clients) > until or bool(errors_of(clients)),
                           "the clients work", TIMEOUT_S)
                # The ioctl takes a moment, in which a sync may end well that did not reach the disk; the
                # power of a machine has no such moment, and no reply leaves behind it.
                for client in clients:
                    client.deaf.set()
                disk.cut()
                # Whatever was written before, here is something that cannot be.
                with Peer(server.endpoint) as peer:
                    peer.send(request(1, "set", "behind the cut", cut))
                    assert server.wait(TIMEOUT_S) == 1, server.log()
            assert errors_of(clients) == [], (cut, server.log())
            assert "the log failed" in server.log(), server.log()
        disk.restore()
        for client in clients:
            client.deaf.clear()

    with start_durable(data) as server, Peer(server.endpoint) as peer:
        for client in clients:
            client.finish(peer)
        reader.read_all(peer, all_keys(clients))
        assert server.stop() == 0
    assert run_tool("verify", str(data)).returncode == 0
    steps = history.steps()
    assert sum(step.increment_by is not None for step in steps) > CUTS
    assert check(steps) == []
