"""When the machine, and not the server, made somebody wait.

A bound on how long a write may wait means nothing while a thread that the write needs stands in
line for a processor, or while the whole machine stands still. Linux counts the first for each
thread (run_delay, the second number of /proc/PID/task/TID/schedstat); the second shows in a sleep
that lasts longer than it was asked to. watch() notes both; excess() takes them off a wait. What a
thread waits for otherwise, a lock above all, is in neither. On two busy processors one thread or
another stands in line about half of the time, so a wait is found for sure only from twice the
bound on; what is reported was over the bound by itself.

Thread safety: none needed; functions, and watch() is to be run in a process of its own.
"""

from __future__ import annotations

import pathlib
import time
from typing import Any, Dict, List, Sequence, Tuple

Interval = Tuple[float, float]  # Begin and end, in seconds of time.monotonic().

ASK_INTERVAL_S = 0.002
# Shorter waits are the ordinary life of more threads than processors.
STALL_MIN_S = 0.005


def _run_delays_s(pids: Sequence[int]) -> Dict[str, float]:
    """How long each thread of these processes has waited for a processor, ever."""
    delays = {}
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                delays[str(path)] = int(path.read_text().split()[1]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                continue  # The thread has just ended.
    return delays


def watch(pids: Sequence[int], until: float, results: Any) -> None:
    """Until that time, notes when a thread of these processes, or this one, was kept from running.

    Puts ("stalls", [interval…]) into the queue `results`.
    """
    stalls: List[Interval] = []
    delays = _run_delays_s(pids)
    last = time.monotonic()
    while last < until:
        time.sleep(ASK_INTERVAL_S)
        now = time.monotonic()
        if now - last > ASK_INTERVAL_S + STALL_MIN_S:
            stalls.append((last, now))
        waited = _run_delays_s(pids)
        # The kernel counts a wait when it is over.
        stalls += [(now - delay, now) for thread, total in waited.items()
                   if (delay := total - delays.get(thread, total)) > STALL_MIN_S]
        delays = waited
        last = now
    results.put(("stalls", stalls))


def overlap(interval: Interval, stalls: Sequence[Interval]) -> float:
    """How much of the interval lies in the stalls; what lies in several counts once."""
    covered = 0.0
    reached = interval[0]
    for begin, end in sorted(stalls):
        begin, end = max(begin, reached), min(end, interval[1])
        if begin < end:
            covered += end - begin
            reached = end
    return covered


def excess(waits: Sequence[Interval], stalls: Sequence[Interval], bound_s: float) -> List[float]:
    """How long each of the waits was over the bound, where the stalls do not explain it."""
    lengths = [end - begin - overlap((begin, end), stalls) for begin, end in waits]
    return [length for length in lengths if length > bound_s]
