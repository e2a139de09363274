"""What good clients feel: the time of their requests, taken in a process of their own.

    with GoodClients(server.endpoint) as clients:
        calm = clients.rounds()
        …                                   # somebody misbehaves
        assert_not_slower(calm, clients.rounds())

A process of their own, so that a hostile peer in the test's process does not take their
interpreter. It does take their processor: on two shared cores the peer, the server and the clients
are three, and one of them waits for a slice of the scheduler now and then, whatever the server
does. That is what ALLOWANCE_S is for, beside the factor; a server that stalls is far beyond it.

Thread safety: none; GoodClients belongs to one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from typing import Any, List, Sequence

import zmq

from harness.peer import Peer

PROCESSES = multiprocessing.get_context("fork")

ROUNDS = 5
ROUND_S = 0.15
CLIENTS = 4
FACTOR_MAX = 1.3
# Two slices of Linux's scheduler on a busy core; sanitizers slow all by an order of magnitude.
ALLOWANCE_S = 0.008 * (10 if os.environ.get("ENTREPOT_SANITIZER") else 1)
ANSWER_TIMEOUT_S = 120.0


def percentile_99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[(len(seconds) * 99) // 100]


def assert_not_slower(calm: Sequence[float], attacked: Sequence[float]) -> None:
    """Holds the medians of the rounds against each other."""
    bound = statistics.median(calm) * FACTOR_MAX + ALLOWANCE_S
    assert statistics.median(attacked) <= bound, (
        f"p99 in ms: calm {[round(1e3 * value, 2) for value in calm]}, "
        f"attacked {[round(1e3 * value, 2) for value in attacked]}, bound {1e3 * bound:.2f}")


def _serve(endpoint: str, orders: Any, round_s: float, interval_s: float) -> None:
    """Runs in the clients' process: measures one round an order, until there are no more."""
    context = zmq.Context()
    peers = [Peer(endpoint, context=context) for _ in range(CLIENTS)]
    number = 0
    while orders.recv():
        seconds: List[float] = []
        begin = due = time.monotonic()
        until = begin + round_s
        while begin < until:
            number += 1
            peer = peers[number % CLIENTS]
            _, read = peer.call_all([("set", "good", number), ("get", "good")])
            seconds.append(time.monotonic() - begin)
            assert read["value"] == number
            begin = time.monotonic()
            if interval_s:
                # What is late is late for the next one too: it counts from when it was due.
                due += interval_s
                time.sleep(max(0.0, due - begin))
                begin = due
        orders.send(percentile_99(seconds))
    for peer in peers:
        peer.close()
    context.term()


class GoodClients:
    """Clients that set and get an entry in turn, each on a connection of its own.

    One request follows the other at once, or one comes every `interval_s`.
    """

    def __init__(self, endpoint: str, round_s: float = ROUND_S, interval_s: float = 0.0):
        self._orders, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_serve,
                                          args=(endpoint, theirs, round_s, interval_s))
        self._process.start()
        theirs.close()
        self.round()  # Connections are made, and the server is warm.

    def round(self) -> float:
        """The 99th percentile of one round, in seconds. EOFError when they were not served."""
        self._orders.send(True)
        if not self._orders.poll(ANSWER_TIMEOUT_S):
            raise TimeoutError(f"good clients were not served for {ANSWER_TIMEOUT_S} s")
        return float(self._orders.recv())

    def rounds(self) -> List[float]:
        return [self.round() for _ in range(ROUNDS)]

    def close(self) -> None:
        if self._process.is_alive():
            self._orders.send(False)
        self._process.join()
        self._orders.close()

    def __enter__(self) -> "GoodClients":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
