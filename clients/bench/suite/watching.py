"""Row 11: how long after a SET was sent a watcher hears of it, beside the SET's own round trip.

Writer and watcher are libzmq's sockets, one SET at a time, on the server's core: on another one, the
waking of a halted core is what is measured.
"""

import contextlib
import os
import statistics
import time

import msgpack
import zmq

from . import measure, rows

SAMPLES = 2000  # Of either time, in each round.
ANSWER_SECONDS = 60


def _cases():
    yield rows.Case("entrepot", "entrepot", ())
    yield rows.Case("entrepot, --sync always", "entrepot", (), ("--durable",))


ROW = rows.Row(
    "11", "From a SET to a watcher, beside the SET's own round trip; all on one core",
    ("watcher_p50_ns", "set_p50_ns"), list(_cases()),
    [rows.Goal(f"{case.name}: p50 at most 2 x the round trip of a SET", case.name, "watcher_p50_ns",
               2, case.name, "set_p50_ns", at_most=True) for case in _cases()],
    throughput=False, each_transport=True)


def run_row(row, launcher, _tester, rounds, say=print):
    """A RowResult; all servers run from the first round to the last."""
    result = measure.RowResult(row)
    with contextlib.ExitStack() as stack:
        systems = {case.name: launcher.start(case.system, case.server_options)
                   for case in row.cases}
        for system in systems.values():
            stack.callback(system.stop)
        for number in range(rounds):
            for case in row.cases:
                with _on_core(launcher.core):
                    set_p50, watcher_p50 = _ask(systems[case.name].target)
                result.add(case, {"set_p50_ns": set_p50, "watcher_p50_ns": watcher_p50})
                say(f"row 11, round {number + 1} of {rounds}: {case.name}: {watcher_p50 / 1e3:.1f} µs "
                    f"to the watcher, {set_p50 / 1e3:.1f} µs a SET")
    return result


@contextlib.contextmanager
def _on_core(core):
    """Runs this thread, and those it starts meanwhile, there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _ask(target):
    """Medians in nanoseconds: a SET until its answer, and a SET until the watcher has its event."""
    with zmq.Context() as context:
        writer, watcher = (context.socket(zmq.DEALER) for _ in range(2))
        for peer in (writer, watcher):
            peer.linger = 0
            peer.rcvtimeo = ANSWER_SECONDS * 1000
            peer.connect(target)
        with writer, watcher:
            watcher.send(msgpack.packb([0, 1, "watch", [{}]]))
            watcher.recv()
            watcher.recv()  # It is told that it is up to date.
            trips, ways = [], []
            for number in range(2 * SAMPLES):
                begin = time.perf_counter_ns()
                writer.send(msgpack.packb([0, number, "set", ["key", "v" * 32]]))
                if number % 2 == 0:
                    writer.recv()
                    trips.append(time.perf_counter_ns() - begin)
                    _hear_event(watcher)
                else:
                    _hear_event(watcher)
                    ways.append(time.perf_counter_ns() - begin)
                    writer.recv()
            return statistics.median(trips), statistics.median(ways)


def _hear_event(watcher):
    """Waits for a notification with an event; others say that there is none."""
    while not msgpack.unpackb(watcher.recv())[2][1]:
        pass
