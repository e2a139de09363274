#!/usr/bin/env python3
"""`make bench`: Entrepôt beside the two bare echoes, and Entrepôt's own curves.

Writes docs/benchmarks/bench.md, .json and .html (the rows that need nothing but this project), and
entrepot-clients.html and entrepot-rates.html: latency over clients, and over the rate offered.
"""

import dataclasses
import sys

from suite import campaign, measure, rows, systems

OURS = ("entrepot", "zmq-echo", "epoll-echo")
SWEEPS = {
    "entrepot-clients": ("--sweep", "clients=1,10,100,1000"),
    "entrepot-rates": ("--clients", 50, "--outstanding", 16, "--arrival", "poisson", "--sweep",
                       "rate=50000,100000,200000,400000"),
}


def our_rows():
    """The rows without other systems, with the goals that are about what is left."""
    for row in rows.ROWS:
        cases = [case for case in row.cases if case.system in OURS]
        names = {case.name for case in cases}
        goals = [goal for goal in row.goals
                 if goal.case in names and (not goal.over or goal.over in names)]
        yield dataclasses.replace(row, cases=cases, goals=goals)


def sweep(flags):
    """The pages with Entrepôt's curves."""
    launcher = systems.Launcher(flags.bin_dir, flags.server_core,
                                flags.transport.split(",")[0])
    tester = measure.Tester(flags.bin_dir, flags.tester_core)
    for stem, options in SWEEPS.items():
        system = launcher.start("entrepot")
        try:
            tester.run(system, "--spin", "--duration", flags.seconds, "--html",
                       flags.output / f"{stem}.html", *options)
        finally:
            system.stop()
        print(f"written: {flags.output / stem}.html", file=sys.stderr)


def main():
    flags = campaign.parser(__doc__.splitlines()[0], "bench").parse_args()
    table, _ = campaign.choose_rows(flags.rows, list(our_rows()))
    results, _ = campaign.run(flags, table, with_memory=False)
    described = campaign.facts(flags, ("libzmq5",))
    campaign.write(flags, "Entrepôt beside bare echoes", described, results, {})
    if not flags.rows:
        sweep(flags)


if __name__ == "__main__":
    main()
