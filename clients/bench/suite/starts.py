"""Row 7: how long a start takes, from a snapshot, until the server answers.

Every core may be used here: nothing else runs meanwhile. The files are in the system's cache, where
writing them has put them, for all cases alike.
"""

import os
import time

from . import control, measure, rows, systems

ENTRIES = 10_000_000
START_SECONDS_MAX = 600

DURABLE = ("--durable", "--sync", "never")
ROW = rows.Row(
    "7", "Start from a snapshot, until the server answers", ("start_ns",),
    [rows.Case("entrepot", "entrepot", (), DURABLE),
     rows.Case("entrepot, both indexes", "entrepot", (), DURABLE),
     rows.Case("redis", "redis", ())],
    [rows.Goal("takes at most 1/2.5 of Redis from its RDB", "entrepot", "start_ns", 1 / 2.5, "redis",
               at_most=True),
     rows.Goal("with both indexes at most 1/1.3", "entrepot, both indexes", "start_ns", 1 / 1.3,
               "redis", at_most=True)],
    throughput=False, keys=ENTRIES, default=False)
# What a server has to answer to be up, besides a `get`: the indexes are in use.
UNTIL_INDEXED = (("find", "no value begins so"), ("scan", "no key begins so"))


def run_row(row, launcher, tester, rounds, say=print):
    """A RowResult. Each case keeps one folder and is started from it in every round."""
    everywhere = systems.Launcher(launcher.bin_dir, f"0-{os.cpu_count() - 1}", launcher.transport)
    result = measure.RowResult(row)
    running = {}
    try:
        for case in row.cases:
            running[case.name] = _prepare(row, case, everywhere, tester, result)
        for number in range(rounds):
            for case in row.cases:
                system = running[case.name]
                system.end()
                begin = time.monotonic_ns()
                running[case.name] = everywhere.start(case.system, case.server_options,
                                                      folder=system.folder)
                _wait_until_up(running[case.name], case)
                result.add(case, {"start_ns": time.monotonic_ns() - begin})
                say(f"row 7, round {number + 1} of {rounds}: {case.name}: "
                    f"{result.samples[case.name]['start_ns'][-1] / 1e9:.2f} s, {row.keys:,} entries")
    finally:
        for system in running.values():
            system.stop()
    return result


def _prepare(row, case, launcher, tester, result):
    system = launcher.start(case.system, case.server_options)
    options = ("--load-only", "--keys", row.keys)
    tester.run(system, *options)
    result.commands[case.name] = " ".join(tester.command(system, "FILE", *options))
    _wait_until_up(system, case)  # The first call by an index has it built; from then on it is kept.
    control.write_snapshot(system)
    return system


def _wait_until_up(system, case):
    deadline = time.monotonic() + START_SECONDS_MAX
    while not control.answers(system, UNTIL_INDEXED if "indexes" in case.name else ()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{case.name} was not up within {START_SECONDS_MAX} s")
        time.sleep(control.ASK_AGAIN_SECONDS)
