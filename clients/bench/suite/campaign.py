"""What both programs do: read their flags, run rows, write the three files."""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import time

from . import machine, measure, report, rows, starts, systems, watching

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
MEMORY_ROW = "6"
# Rows that are measured in their own way.
RUNNERS = {module.ROW.number: module.run_row for module in (starts, watching)}


def parser(description, stem):
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--bin-dir", default=REPOSITORY / "build" / "bin", type=pathlib.Path,
                       help="where the programs were built")
    flags.add_argument("--output", default=REPOSITORY / "docs" / "benchmarks", type=pathlib.Path,
                       help="the folder for the .md, .json and .html files")
    flags.add_argument("--rows", default="", help="for instance 1,2,6; without it: all there are")
    flags.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    flags.add_argument("--seconds", type=float, default=4,
                       help="length of each measurement but those of row 12 (default 4)")
    flags.add_argument("--entries", default="",
                       help="rows 6 and 7: for instance 500000,1000000; row 7 takes the first")
    flags.add_argument("--transport", default="zmq,native",
                       choices=("zmq,native", "zmq", "native"),
                       help="with both, rows that are about the transport are measured on both")
    flags.add_argument("--name", default=stem, help="of the files, before .md (default %(default)s)")
    flags.add_argument("--server-core", type=int, default=0)
    flags.add_argument("--tester-core", type=int, default=1)
    return flags


def choose_rows(wanted, table):
    """The rows named by `wanted` ("1,2,6"), or the usual ones; and whether memory is among them."""
    if not wanted:
        return [row for row in table if row.default], True
    numbers = wanted.split(",")
    known = [*(row.number for row in table), MEMORY_ROW]
    for number in numbers:
        if number not in known:
            sys.exit(f"there is no row {number}; there are {', '.join(known)}")
    return [row for row in table if row.number in numbers], MEMORY_ROW in numbers


def run(flags, table, with_memory):
    """(results, memory) of the rows in `table`."""
    transports = flags.transport.split(",")
    launcher = systems.Launcher(flags.bin_dir, flags.server_core, transports[0])
    tester = measure.Tester(flags.bin_dir, flags.tester_core)
    counts = [int(count) for count in flags.entries.split(",")] if flags.entries else []
    results = []
    for row in table:
        if row is starts.ROW and counts:
            row = dataclasses.replace(row, keys=counts[0])
        row = rows.on_transports(row, transports)
        if row.number in RUNNERS:
            results.append(RUNNERS[row.number](row, launcher, tester, flags.rounds, say=_say))
        else:
            results.append(measure.run_row(row, launcher, tester, flags.rounds, flags.seconds,
                                           say=_say))
    memory = {}
    if with_memory:
        for entries in counts or rows.MEMORY_ENTRIES:
            for case in rows.MEMORY_CASES:
                figures = measure.run_memory_case(case, entries, launcher, tester)
                memory[case.name, entries] = figures
                _say(f"row 6: {case.name}, {entries:,} entries: {figures[1]:.0f} resident bytes an "
                     "entry")
    return results, memory


def facts(flags, packages):
    """What must stand beside the numbers."""
    described = machine.describe_machine()
    described["date"] = time.strftime("%Y-%m-%d")
    described["Entrepôt"] = f"{_commit()}, transport {flags.transport}"
    described["rounds"] = flags.rounds
    described["cores"] += (f" (servers on core {flags.server_core}, tester on core "
                           f"{flags.tester_core})")
    for package in packages:
        found = machine.describe_package(package)
        if found:
            described[package] = f"{found['version']} ({found['date']})"
    return described


def write(flags, title, described, results, memory):
    flags.output.mkdir(parents=True, exist_ok=True)
    files = {".md": report.markdown(title, described, results, memory),
             ".html": report.page(title, described, results, memory),
             ".json": json.dumps(report.as_json(title, described, results, memory), indent=1,
                                 ensure_ascii=False) + "\n"}
    for suffix, text in files.items():
        (flags.output / (flags.name + suffix)).write_text(text, encoding="utf-8")
    print(files[".md"])
    print(f"written: {flags.output / flags.name}.md, .html, .json")


def _commit():
    done = subprocess.run(["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "no commit"


def _say(text):
    print(text, file=sys.stderr, flush=True)
