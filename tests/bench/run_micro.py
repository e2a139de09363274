#!/usr/bin/env python3
"""Runs the micro-benchmarks and writes docs/benchmarks/micro.md: what decoder, encoder, stripe,
index and a whole request cost without a network, in time and in instructions.

`make bench` runs it. Instructions are counted by callgrind, in what a lane does only (so neither
the network nor the benchmark itself), and over 100,000 entries, so that loading ends in time: the
instructions of a look-up do not depend on their number.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("decoder_bench", "encoder_bench", "stripe_bench", "ordered_index_bench",
            "request_bench")
COUNTED_TURNS = 2000
REQUESTS_OF_TURN = 64
COUNTED = "*HotPath::Sender::Send()"
COUNTED_BENCHMARKS = [f"{kind}/bodies:{bodies}/requests:{requests}"
                      for kind in ("Get", "Set", "SetIndexed") for bodies, requests in
                      ((64, 1), (1, 64))]


def measure(program, rounds):
    """{benchmark: (median ns of CPU time, least, most) of an iteration, or of a request}"""
    done = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.3",
                           f"--benchmark_repetitions={rounds}"],
                          capture_output=True, text=True, check=True)
    times = {}
    for run in json.loads(done.stdout)["benchmarks"]:
        if run["run_type"] != "iteration":
            continue
        scale = {"ns": 1, "us": 1e3, "ms": 1e6}[run["time_unit"]]
        cost = run["cpu"] * 1e9 if "cpu" in run else run["cpu_time"] * scale
        times.setdefault(run["run_name"], []).append(cost)
    return {name: (sorted(costs)[len(costs) // 2], min(costs), max(costs))
            for name, costs in times.items()}


def count_instructions(program, benchmark):
    with tempfile.NamedTemporaryFile(suffix=".callgrind") as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--toggle-collect={COUNTED}",
             f"--callgrind-out-file={out.name}", program, f"--benchmark_filter=^{benchmark}/"],
            env={**os.environ, "ENTREPOT_BENCH_ENTRIES": "100000",
                 "ENTREPOT_BENCH_ITERATIONS": str(COUNTED_TURNS)},
            capture_output=True, text=True, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if not collected:
        sys.exit(f"callgrind said nothing of what it counted:\n{done.stderr}")
    return int(collected.group(1)) / (COUNTED_TURNS * REQUESTS_OF_TURN)


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    commit = subprocess.run(["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return f"{time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores of {model}"


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--bin-dir", default=REPOSITORY / "build" / "bin", type=pathlib.Path)
    flags.add_argument("--output", default=REPOSITORY / "docs" / "benchmarks", type=pathlib.Path)
    flags.add_argument("--rounds", type=int, default=5)
    flags = flags.parse_args()

    lines = ["# Micro-benchmarks", "", f"{machine()}. `make bench` writes this page "
             "(`tests/bench/run_micro.py`).", ""]
    lines += ["Nanoseconds of CPU time, median (least … most) of "
              f"{flags.rounds} rounds: of an iteration, in `request_bench` of a request.", ""]
    for name in PROGRAMS:
        lines += [f"## {name}", "", "| benchmark | ns |", "|---|---:|"]
        for benchmark, (median, least, most) in measure(flags.bin_dir / name,
                                                        flags.rounds).items():
            lines.append(f"| `{benchmark}` | {median:.4g} ({least:.4g} … {most:.4g}) |")
        lines.append("")
    lines += ["## Instructions of a request", ""]
    if shutil.which("valgrind"):
        lines += ["| request | instructions |", "|---|---:|"]
        for benchmark in COUNTED_BENCHMARKS:
            count = count_instructions(flags.bin_dir / "request_bench", benchmark)
            lines.append(f"| `{benchmark}` | {count:.0f} |")
    else:
        lines.append("Not counted: valgrind is not installed.")
    flags.output.mkdir(parents=True, exist_ok=True)
    (flags.output / "micro.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written: {flags.output / 'micro.md'}")


if __name__ == "__main__":
    main()
