"""Many clients at once: sums that are exact, and nobody who waits for somebody else's long work."""

from __future__ import annotations

import collections
import multiprocessing
import os
import random
import threading
import time
from typing import Any, Dict, List, Tuple

import pytest

from bystander import Bystander
from harness import stalls
from harness.peer import Peer, request, responses
from harness.server import Server

pytestmark = pytest.mark.alone

PROCESSES = multiprocessing.get_context("fork")

# Sanitizers slow everything by an order of magnitude.
SLOWDOWN = 10 if os.environ.get("ENTREPOT_SANITIZER") else 1

FINDERS_AND_WRITERS_S = 30
NIGHTLY = bool(os.environ.get("ENTREPOT_NIGHTLY"))
BY_NIGHT = {("zmq", "workers"), ("native", "inline")}
WRITE_WAIT_MAX_S = 0.1 * SLOWDOWN


def load(endpoint: str, count: int, value_of: Any) -> None:
    """Sets keys `entry 000000` and on, 1,000 in a message."""
    with Peer(endpoint) as peer:
        for start in range(0, count, 1000):
            peer.call_all([("set", f"entry {number:06}", value_of(number))
                           for number in range(start, min(start + 1000, count))])


# ---- exact sums ---------------------------------------------------------------------------------

COUNTERS = 10
CLIENTS = 16
BODIES_A_CLIENT = 40
REQUESTS_A_BODY = 50


def increment_counters(endpoint: str, seed: int, seen: Dict[str, List[int]]) -> None:
    """Increments counters chosen at random, several bodies under way; notes what came back."""
    generator = random.Random(seed)
    with Peer(endpoint) as peer:
        keys: Dict[int, str] = {}
        for body_number in range(BODIES_A_CLIENT):
            body = b""
            for index in range(REQUESTS_A_BODY):
                msgid = body_number * REQUESTS_A_BODY + index
                keys[msgid] = f"counter {generator.randrange(COUNTERS)}"
                body += request(msgid, "increment", keys[msgid], 1)
            peer.send(body)
        for _ in range(BODIES_A_CLIENT):
            for _, msgid, error, result in responses(peer.receive()[-1]):
                assert error is None
                seen[keys[msgid]].append(result["value"])


def test_counters_of_many_clients_add_up_exactly(server: Server) -> None:
    noted: List[Dict[str, List[int]]] = [collections.defaultdict(list) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=increment_counters, args=(server.endpoint, seed, seen))
               for seed, seen in enumerate(noted)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = 0
    with Peer(server.endpoint) as peer:
        for number in range(COUNTERS):
            key = f"counter {number}"
            values = sorted(value for seen in noted for value in seen[key])
            # Each increment saw a value of its own: none is lost, none counted twice.
            assert values == list(range(1, len(values) + 1))
            assert peer.call("get", key)["value"] == len(values)
            total += len(values)
    assert total == CLIENTS * BODIES_A_CLIENT * REQUESTS_A_BODY


def move_money(endpoint: str, seed: int, committed: List[int]) -> None:
    """Moves 1 between two accounts at a time; each account has a floor of 0."""
    generator = random.Random(seed)
    with Peer(endpoint) as peer:
        for _ in range(400):
            source, target = generator.sample(range(8), 2)
            result = peer.call("transact", {"then": [
                ["increment", [f"account {source}", -1, {"min": 0}]],
                ["increment", [f"account {target}", 1]]]})
            committed.append(result["status"] == "committed")


def test_transactions_of_many_clients_keep_the_sum(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        peer.call_all([("set", f"account {number}", 20) for number in range(8)])
        committed: List[int] = []
        threads = [threading.Thread(target=move_money, args=(server.endpoint, seed, committed))
                   for seed in range(6)]
        for thread in threads:
            thread.start()
        keys = [f"account {number}" for number in range(8)]
        reads = 0
        while reads < 50 or any(thread.is_alive() for thread in threads):
            balances = [item[0] for item in peer.call("get_many", keys)["items"]]
            assert sum(balances) == 160 and min(balances) >= 0, balances
            reads += 1
        for thread in threads:
            thread.join()
        assert len(committed) == 2400 and any(committed)


def test_compare_and_set_of_many_clients(server: Server) -> None:
    def add(rounds: int) -> None:
        with Peer(server.endpoint) as peer:
            for _ in range(rounds):
                while True:
                    read = peer.call("get", "total")
                    written = peer.call("set", "total", read.get("value", 0) + 1,
                                        {"if_version": read["version"]})
                    if written["status"] != "conflict":
                        break

    threads = [threading.Thread(target=add, args=(100,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Peer(server.endpoint) as peer:
        assert peer.call("get", "total")["value"] == 600


# ---- long work ----------------------------------------------------------------------------------

COUNTED_ENTRIES = 200_000 // SLOWDOWN
COUNTS_A_BODY = 40


def test_a_long_count_delays_nobody_else(server: Server) -> None:
    load(server.endpoint, COUNTED_ENTRIES, lambda number: f"value {number:06}")
    with Peer(server.endpoint) as counter, Bystander(server.endpoint) as bystander:
        counter.call_when_ready("count", {"query": "value"})  # Builds the indexes.
        counter.call_when_ready("count", {"key_prefix": "entry"})
        served = bystander.answers
        body = b"".join(request(msgid, "count", {"key_prefix": "entry", "query": "value"})
                        for msgid in range(COUNTS_A_BODY))
        started = time.monotonic()
        counter.send(body)
        answers = responses(counter.receive(timeout_ms=300_000)[-1])
        seconds = time.monotonic() - started
        assert [answer[3]["count"] for answer in answers] == [COUNTED_ENTRIES] * COUNTS_A_BODY
        # Held up behind the counts, the bystander would have had one answer at most.
        assert bystander.answers - served >= 20, f"{bystander.answers - served} in {seconds:.2f} s"


def test_a_large_body_delays_nobody_else(server: Server) -> None:
    with Peer(server.endpoint) as sender, Bystander(server.endpoint) as bystander:
        served = bystander.answers
        body = b"".join(request(number, "set", f"bulk {number}", number)
                        for number in range(60_000))
        sender.send(body)
        answers = responses(sender.receive(timeout_ms=300_000)[-1])
        assert len(answers) == 60_000 and all(answer[2] is None for answer in answers)
        assert bystander.answers - served >= 5


# ---- finders and writers ------------------------------------------------------------------------

SEARCHED_ENTRIES = 20_000


def write_entries(endpoint: str, seed: int, until: float, results: Any) -> None:
    generator = random.Random(seed)
    slow: List[Tuple[float, float]] = []
    writes = 0
    with Peer(endpoint) as peer:
        begin = time.monotonic()
        while begin < until:
            peer.call("set", f"entry {generator.randrange(SEARCHED_ENTRIES):06}",
                      f"value {generator.randrange(1000):03}")
            end = time.monotonic()
            if end - begin > WRITE_WAIT_MAX_S:
                slow.append((begin, end))
            writes += 1
            begin = end
    results.put(("writes", (writes, slow)))


def find_entries(endpoint: str, seed: int, until: float, results: Any) -> None:
    generator = random.Random(seed)
    finds = 0
    with Peer(endpoint) as peer:
        while time.monotonic() < until:
            prefix = f"value {generator.randrange(1000):03}"
            page = peer.call("find", prefix, {"values": True, "limit": 1000})
            assert all(value == prefix for value in page["values"])
            finds += 1
    results.put(("finds", finds))


def test_two_finders_and_two_writers(server: Server, request: pytest.FixtureRequest) -> None:
    setting = request.node.callspec.params
    if not NIGHTLY and (setting["transport"], setting["server"]) in BY_NIGHT:
        pytest.skip("30 s; in `make test-nightly`, as each of its halves is in another setting")
    load(server.endpoint, SEARCHED_ENTRIES, lambda number: f"value {number % 1000:03}")
    with Peer(server.endpoint) as peer:
        assert len(peer.call_when_ready("find", "value 007")["keys"]) == SEARCHED_ENTRIES // 1000
    until = time.monotonic() + FINDERS_AND_WRITERS_S
    results = PROCESSES.Queue()
    workers = []
    for seed in range(2):
        arguments = (server.endpoint, seed, until, results)
        workers.append(PROCESSES.Process(target=write_entries, args=arguments))
        workers.append(PROCESSES.Process(target=find_entries, args=arguments))
    for worker in workers:
        worker.start()
    watched = [server.pid, *(worker.pid for worker in workers)]
    workers.append(PROCESSES.Process(target=stalls.watch, args=(watched, until, results)))
    workers[-1].start()
    reports = [results.get(timeout=FINDERS_AND_WRITERS_S + 120) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    stalled = [stall for kind, noted in reports if kind == "stalls" for stall in noted]
    written = [report for kind, report in reports if kind == "writes"]
    assert min(finds for kind, finds in reports if kind == "finds") > 100 / SLOWDOWN
    for writes, slow in written:
        assert writes > 1000 / SLOWDOWN
        assert stalls.excess(slow, stalled, WRITE_WAIT_MAX_S) == []
    with Peer(server.endpoint) as peer:
        # Afterwards the index still holds exactly what the store holds.
        found = sum(peer.call_when_ready("count", {"query": f"value {number:03}"})["count"]
                    for number in range(1000))
        assert found == SEARCHED_ENTRIES
