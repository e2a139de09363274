"""Our own server under the tester: every answer right, and 10,000 clients at once."""

import os
import resource

import pytest

from conftest import BIN_DIR
from suite import rows, systems, watching

CLIENTS = 10_000
FILES_NEEDED = CLIENTS + 1000  # Each of the two processes opens one a client, and a few more.


@pytest.fixture
def server(start_server):
    return start_server(BIN_DIR / "entrepot-server", "--listen", "tcp://127.0.0.1:0", "--data",
                        "none", "--feed", "off", "--admin", "off")


@pytest.mark.parametrize("mix", [
    "get=30,set=30,delete=20,increment=20",
    "find=40,scan=20,get=20,set=20",
    "get=40,set=30,insert=30",
])
@pytest.mark.parametrize("loop", [(), ("--rate", 20000, "--arrival", "poisson")])
def test_every_answer_is_right(bench, server, mix, loop):
    document = bench.run(f"tcp://{server.address}", "--verify", "--keys", 20000, "--clients", 20,
                         "--outstanding", 4, "--body", 5, "--value-bytes", "28-2000", "--warm-up",
                         0.2, "--duration", 1.5, "--mix", mix, *loop)
    row = document["rows"][0]
    assert row["requests"] > 1000
    assert row["errors"] == row["wrong"] == 0
    assert document["server_stats"]["entries"] > 0


def test_libzmq_clients_get_right_answers(bench, server):
    document = bench.run(f"tcp://{server.address}", "--verify", "--keys", 1000, "--clients", 10,
                         "--outstanding", 4, "--client", "libzmq", "--warm-up", 0.2, "--duration", 1,
                         "--mix", "get=40,set=40,delete=20")
    row = document["rows"][0]
    assert row["requests"] > 100
    assert row["errors"] == row["wrong"] == 0


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES_NEEDED,
                    reason=f"a process may open fewer than {FILES_NEEDED} files here")
def test_ten_thousand_clients_connect_work_and_leave(bench, server):
    document = bench.run(f"tcp://{server.address}", "--keys", 10000, "--clients", CLIENTS,
                         "--warm-up", 1, "--duration", 5, "--drain", 30)
    row = document["rows"][0]
    assert row["errors"] == row["connection_failures"] == row["misses"] == 0
    assert row["requests"] >= CLIENTS


def test_the_way_to_a_watcher_is_measured(monkeypatch):
    monkeypatch.setattr(watching, "SAMPLES", 20)
    cores = os.sched_getaffinity(0)
    row = rows.on_transports(watching.ROW, ["zmq", "native"])
    launcher = systems.Launcher(BIN_DIR, min(cores), "zmq")
    result = watching.run_row(row, launcher, None, rounds=2, say=lambda text: None)
    for case in row.cases:
        for figure in row.figures:
            assert len(result.samples[case.name][figure]) == 2
            assert result.median(case.name, figure) > 1000  # No answer comes within a microsecond.
    assert os.sched_getaffinity(0) == cores
