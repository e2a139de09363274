"""Runs the rows: starts the systems, alternates rounds between them, takes medians."""

import contextlib
import json
import pathlib
import statistics
import subprocess
import tempfile

from . import control, systems

BUSY_CORE = 0.95       # From here on a server's core counts as busy.
KEPT_UP = 0.9          # Of the rate offered; below it an open loop measures its own queue.
RUN_SECONDS_MAX = 300  # One run of entrepot-bench, loading included.

# The figures that rows may show: name, unit, and how they are read from a run's document.
FIGURES = {
    "rate": ("requests/s", lambda rows: rows["main"]["rate"]),
    "server_cpu_ns": ("ns", lambda rows: rows["main"]["cpu_ns_per_request"]["server"]),
    "p50_ns": ("ns", lambda rows: rows["main"]["latency_ns"]["p50"]),
    "p99_ns": ("ns", lambda rows: rows["main"]["latency_ns"]["p99"]),
    "p99_9_ns": ("ns", lambda rows: rows["main"]["latency_ns"]["p99_9"]),
    "max_ns": ("ns", lambda rows: rows["main"]["latency_ns"]["max"]),
    "get_p50_ns": ("ns", lambda rows: rows["main"]["latency_by_kind_ns"].get("get", {}).get("p50")),
    "background_rate": ("requests/s", lambda rows: rows["background"]["rate"]),
    "background_p99_ns": ("ns", lambda rows: rows["background"]["latency_ns"]["p99"]),
    "resident_bytes_per_client": ("bytes", lambda rows: resident_bytes_per_client(rows["main"])),
}

# What a request and a client cost the server is true also when its core had time to spare.
TRUE_AT_ANY_LOAD = ("server_cpu_ns", "resident_bytes_per_client")


def resident_bytes_per_client(row):
    resident = row["server_resident_bytes"]
    return (resident["end"] - resident["before"]) / row["clients"]


class Tester:
    """entrepot-bench, pinned to a core."""

    def __init__(self, bin_dir, core):
        self.program = pathlib.Path(bin_dir) / "entrepot-bench"
        self.core = core

    def run(self, system, *options, core=None):
        """The document of one run against `system`."""
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            command = self.command(system, file.name, *options, core=core)
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  timeout=RUN_SECONDS_MAX)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
            return json.loads(pathlib.Path(file.name).read_text(encoding="utf-8"))

    def command(self, system, json_file, *options, core=None):
        core = self.core if core is None else core
        return ["taskset", "-c", str(core), str(self.program), "--target", system.target,
                "--server-pid", str(system.pid), *system.options, "--json", json_file,
                *map(str, options)]


class RowResult:
    """The figures of a row: for each case and figure one number a round."""

    def __init__(self, row):
        self.row = row
        self.commands = {}
        self.samples = {case.name: {} for case in row.cases}
        self.discarded = {case.name: [] for case in row.cases}  # Why rounds do not count.

    def add(self, case, figures):
        for name, value in figures.items():
            if value is not None:
                self.samples[case.name].setdefault(name, []).append(value)

    def median(self, case_name, figure):
        """None where no round counts."""
        if figure == "kept_of_100":
            few = self.median(case_name.rsplit(" ", 1)[0] + " 100", "rate")
            many = self.median(case_name, "rate")
            return many / few if few and many else None
        if figure == "worst_max_ns":
            samples = self.samples[case_name].get("max_ns")
            return max(samples) if samples else None
        samples = self.samples[case_name].get(figure)
        return statistics.median(samples) if samples else None

    def spread(self, case_name, figure):
        samples = self.samples[case_name].get(figure, [])
        return (min(samples), max(samples)) if samples else None


def run_row(row, launcher, tester, rounds, seconds, say=print):
    """A RowResult. Each round measures every case once, so that a slow minute hits all alike."""
    result = RowResult(row)
    seconds = row.seconds or seconds
    running = {}
    try:
        for number in range(rounds):
            for case in row.cases:
                key = (case.system, case.server_options, case.own_server and case.name)
                loaded = key in running and not case.fresh
                if not loaded:
                    if key in running:
                        running.pop(key).stop()
                    running[key] = launcher.start(case.system, case.server_options)
                _run_case(row, case, running[key], launcher, tester, seconds, loaded, result)
                if case.fresh:
                    running.pop(key).stop()
                say(f"row {row.number}, round {number + 1} of {rounds}: {case.name}: "
                    f"{_brief(result, case)}")
    finally:
        for system in running.values():
            system.stop()
    return result


def _run_case(row, case, system, launcher, tester, seconds, loaded, result):
    options = ["--keys", row.keys, "--duration", seconds, "--warm-up", row.warm_up, *case.options]
    if loaded:
        options.append("--no-load")
    if not row.same_core:
        options.append("--spin")
    core = launcher.core if row.same_core else None
    with control.Snapshots(system) if case.snapshots else contextlib.nullcontext() as snapshots:
        document = tester.run(system, *options, core=core)
    if case.snapshots and snapshots.written == 0:
        result.discarded[case.name].append("no snapshot was written meanwhile")
        return
    result.commands[case.name] = " ".join(tester.command(system, "FILE", *options, core=core))
    rows = {entry["name"]: entry for entry in document["rows"]}
    reason = why_not(row, rows["main"])
    if reason:
        result.discarded[case.name].append(reason)
        result.add(case, {name: FIGURES[name][1](rows) for name in row.figures
                          if name in TRUE_AT_ANY_LOAD})
        return
    wanted = [name for name in row.figures if not name.startswith("background") or
              "background" in rows]
    result.add(case, {name: FIGURES[name][1](rows) for name in wanted})


def why_not(row, main):
    """Why this round does not count, or None."""
    if main["errors"] or main["wrong"]:
        return f"{main['errors']} errors, {main['wrong']} wrong answers"
    if main["void"] and not row.same_core:
        return main["void"]
    offered = main.get("rate_offered")
    if offered and main["rate"] < KEPT_UP * offered:
        return f"{main['rate']:,.0f} requests/s were answered of {offered:,.0f} offered"
    busy = main["busy_cores"]["server"]
    if row.throughput and busy < BUSY_CORE:
        return f"the server's core was {100 * busy:.0f} % busy"
    return None


def _brief(result, case):
    figure = result.row.figures[0]
    samples = result.samples[case.name].get(figure)
    counted = f"{figure} {samples[-1]:,.0f}" if samples else "nothing counts yet"
    discarded = result.discarded[case.name]
    return f"{counted}; {len(discarded)} discarded, last: {discarded[-1]}" if discarded else counted


def judge(result):
    """Each goal of the row with what was reached: (goal, value or None, reached or None)."""
    verdicts = []
    for goal in result.row.goals:
        value = result.median(goal.case, goal.figure)
        if goal.over and value is not None:
            over = result.median(goal.over, goal.over_figure or goal.figure)
            value = value / over if over else None
        reached = None
        if value is not None:
            reached = value <= goal.limit if goal.at_most else value >= goal.limit
        verdicts.append((goal, value, reached))
    return verdicts


def allocated_bytes(document, system):
    """What the server says it has allocated for entries, or None where it does not say."""
    stats = document["server_stats"] or {}
    if system == "redis":
        return int(stats["used_memory"])
    if system.startswith("memcached"):
        return int(stats["bytes"])
    if "entry_bytes" not in stats:
        return None
    return int(stats["entry_bytes"]) + int(stats["index_bytes"])


def run_memory_case(case, entries, launcher, tester):
    """(allocated, resident) bytes an entry of a fresh server; allocated may be None."""
    system = launcher.start(case.system)
    try:
        before = allocated_bytes(tester.run(system, "--load-only", "--keys", 1),
                                 case.system)
        resident_before = systems.resident_bytes(system.pid)
        options = ["--keys", entries, "--warm-up", 0.5, "--duration", 0.5]
        document = tester.run(system, *options, *(case.touch or ("--load-only",)))
        after = allocated_bytes(document, case.system)
        resident = (systems.resident_bytes(system.pid) - resident_before) / entries
        allocated = None if after is None or before is None else (after - before) / entries
        return allocated, resident
    finally:
        system.stop()
