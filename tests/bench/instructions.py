#!/usr/bin/env python3
"""Counts the instructions of a request with callgrind: `instructions.py build/bin/request_bench`.

Only what a lane does is counted, so neither the network nor the benchmark itself. 100,000 entries,
so that loading ends in time: the instructions of a look-up do not depend on their number.
"""

import os
import re
import subprocess
import sys
import tempfile

ITERATIONS = 2000
REQUESTS = 64
COUNTED = "*HotPath::Sender::Send()"
BENCHMARKS = [f"{kind}/bodies:{bodies}/requests:{requests}" for kind in ("Get", "Set", "SetIndexed")
              for bodies, requests in ((64, 1), (1, 64))]


def instructions(program, benchmark):
    with tempfile.NamedTemporaryFile(suffix=".callgrind") as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--toggle-collect={COUNTED}",
             f"--callgrind-out-file={out.name}", program, f"--benchmark_filter=^{benchmark}/"],
            env={**os.environ, "ENTREPOT_BENCH_ENTRIES": "100000",
                 "ENTREPOT_BENCH_ITERATIONS": str(ITERATIONS)},
            capture_output=True, text=True, check=True)
        collected = re.search(r"Collected : (\d+)", done.stderr)
        if not collected:
            sys.exit(f"callgrind said nothing of what it counted:\n{done.stderr}")
        return int(collected.group(1)) / (ITERATIONS * REQUESTS)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("| request | instructions |\n|---|---:|")
    for benchmark in BENCHMARKS:
        print(f"| {benchmark} | {instructions(sys.argv[1], benchmark):.0f} |", flush=True)


if __name__ == "__main__":
    main()
