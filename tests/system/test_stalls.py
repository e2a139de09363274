"""That harness.stalls tells the machine's waits from the server's."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from harness import stalls

PROCESSES = multiprocessing.get_context("fork")
WATCHED_S = 0.5


def test_excess_waits_are_told_from_stalls() -> None:
    assert stalls.excess([(1.0, 1.2)], [], 0.1) == [pytest.approx(0.2)]
    assert stalls.excess([(1.0, 1.2)], [(0.9, 0.95), (1.3, 1.4)], 0.1) == [pytest.approx(0.2)]
    assert stalls.excess([(1.0, 1.2)], [(0.5, 9.0)], 0.1) == []
    assert stalls.excess([(1.0, 1.2)], [(1.15, 1.2), (1.0, 1.08)], 0.1) == []
    # Two threads that stall at the same time explain no more than the time that this took.
    assert stalls.excess([(1.0, 1.2)], [(1.0, 1.08), (1.02, 1.09)], 0.1) == [pytest.approx(0.11)]


def spin(until: float) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    while time.monotonic() < until:
        pass


def test_a_process_that_waits_for_a_processor_is_noticed() -> None:
    begin = time.monotonic()
    # Longer than watched: the kernel counts a wait when it is over.
    spinning = [PROCESSES.Process(target=spin, args=(begin + WATCHED_S + 0.2,)) for _ in range(4)]
    for process in spinning:
        process.start()
    results = PROCESSES.Queue()
    stalls.watch([process.pid for process in spinning], begin + WATCHED_S, results)
    for process in spinning:
        process.join()
    kind, noted = results.get(timeout=60)
    assert kind == "stalls"
    assert stalls.overlap((begin, begin + WATCHED_S), noted) > WATCHED_S / 4
