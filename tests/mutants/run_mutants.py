#!/usr/bin/python3
"""Breaks each promise on purpose, and shows that the test named for it turns red. See README.md."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import sys
from typing import Dict, List, Optional, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A mutant may make its test hang: that counts as red.
TEST_TIMEOUT_S = 600
OUTPUT_LINES_SHOWN = 30


class MutantError(Exception):
    """The run itself cannot go on, or shows nothing."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    patch: pathlib.Path
    promise: str
    breaks: str
    targets: Sequence[str]
    tests: Sequence[str]

    @property
    def name(self) -> str:
        return self.patch.stem


def read_mutant(patch: pathlib.Path) -> Mutant:
    """Reads the header: lines `Name: value` before the first line of the diff."""
    fields: Dict[str, List[str]] = {"Promise": [], "Breaks": [], "Target": [], "Test": []}
    for line in patch.read_text(encoding="utf-8").splitlines():
        if line.startswith(("diff ", "--- ")):
            break
        header = re.fullmatch(r"(\w+): (.+)", line)
        if header and header.group(1) in fields:
            fields[header.group(1)].append(header.group(2).strip())
        elif line.strip():
            raise MutantError(f"{patch.name}: not a line of a header: {line!r}")
    for name, values in fields.items():
        if not values or (len(values) > 1 and name in ("Promise", "Breaks")):
            raise MutantError(f"{patch.name}: {name} has to stand there"
                              + (" once" if name in ("Promise", "Breaks") else ""))
    return Mutant(patch, fields["Promise"][0], fields["Breaks"][0], fields["Target"],
                  fields["Test"])


class Workshop:
    """A copy of the tree with a build of its own, in which patches are applied and taken back."""

    def __init__(self, source: pathlib.Path, folder: pathlib.Path):
        self._source = source
        self._tree = folder / "tree"
        self._build = folder / "build"

    def restore(self) -> None:
        """Makes the copy equal to the source; files that are equal keep their times."""
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=self._source, check=True, capture_output=True).stdout.decode()
        names = {name for name in listing.split("\0") if name and (self._source / name).is_file()}
        for name in names:
            content = (self._source / name).read_bytes()
            copy = self._tree / name
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
                copy.chmod((self._source / name).stat().st_mode)
        for path in self._tree.rglob("*"):
            if path.is_file() and path.relative_to(self._tree).as_posix() not in names:
                path.unlink()

    def configure(self) -> None:
        done = self._run(["cmake", "-S", str(self._tree), "-B", str(self._build), "-G", "Ninja",
                          "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1",
                          "-DCMAKE_C_COMPILER_LAUNCHER=ccache",
                          "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"])
        if done.returncode != 0:
            raise MutantError(f"the tree cannot be configured:\n{last_lines(done.stdout)}")

    def build(self, targets: Sequence[str]) -> Optional[str]:
        """Builds; gives the compiler's last words if that fails."""
        done = self._run(["cmake", "--build", str(self._build), "--target", *targets])
        return None if done.returncode == 0 else last_lines(done.stdout)

    def apply(self, patch: pathlib.Path) -> bool:
        done = self._run(["patch", "-p1", "--forward", "--fuzz=0", "--input", str(patch)])
        return done.returncode == 0

    def test(self, command: str) -> "tuple[bool, str]":
        """Whether the test passes, and its last words. A test that ran nothing does not pass."""
        words = shlex.split(command)
        if words[0] == "pytest":
            words = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", *words[1:]]
        else:
            words[0] = str(self._build / "tests" / words[0])
        try:
            done = self._run(words)
        except subprocess.TimeoutExpired:
            return False, f"not done within {TEST_TIMEOUT_S} s"
        except FileNotFoundError:
            raise MutantError(f"{command}: there is no such program") from None
        ran_nothing = re.search(r"^\[  PASSED  \] 0 tests", done.stdout, re.MULTILINE) is not None
        return done.returncode == 0 and not ran_nothing, last_lines(done.stdout)

    def _run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        path = f"{self._tree}/tests/support:{self._tree}/clients/python"
        environment = {**os.environ, "ENTREPOT_BIN_DIR": str(self._build / "bin"),
                       "ENTREPOT_BUILD_DIR": str(self._build), "PYTHONPATH": path,
                       "PYTHONDONTWRITEBYTECODE": "1", "CCACHE_BASEDIR": str(self._tree)}
        return subprocess.run(command, cwd=self._tree, env=environment, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TEST_TIMEOUT_S)


def last_lines(output: str) -> str:
    return "\n".join("    " + line for line in output.splitlines()[-OUTPUT_LINES_SHOWN:])


def check_unpatched(workshop: Workshop, mutants: Sequence[Mutant]) -> None:
    workshop.restore()
    workshop.configure()
    failure = workshop.build(sorted({target for mutant in mutants for target in mutant.targets}))
    if failure is not None:
        raise MutantError(f"the unpatched tree does not build:\n{failure}")
    for test in sorted({test for mutant in mutants for test in mutant.tests}):
        passed, words = workshop.test(test)
        if not passed:
            raise MutantError(f"without any patch, {test} does not pass:\n{words}")


def survival(workshop: Workshop, mutant: Mutant) -> Optional[str]:
    """Why this mutant shows nothing; None if each of its tests turned red."""
    if not workshop.apply(mutant.patch):
        return "the patch does not apply any more"
    failure = workshop.build(mutant.targets)
    if failure is not None:
        return f"it does not compile:\n{failure}"
    for test in mutant.tests:
        passed, _ = workshop.test(test)
        if passed:
            return f"{test} stays green"
    return None


def run(source: pathlib.Path, folder: pathlib.Path, mutants: Sequence[Mutant]) -> int:
    """Gives the number of mutants that show nothing."""
    workshop = Workshop(source, folder)
    check_unpatched(workshop, mutants)
    survivors = 0
    for mutant in mutants:
        workshop.restore()
        reason = survival(workshop, mutant)
        survivors += reason is not None
        verdict = "red, as it must be" if reason is None else f"SURVIVES: {reason}"
        print(f"{mutant.name} (promise {mutant.promise}): {mutant.breaks}\n  {verdict}", flush=True)
    workshop.restore()
    print(f"{len(mutants)} mutants, {survivors} survive.")
    return survivors


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--list", action="store_true", help="list the mutants, and end")
    parser.add_argument("--source", type=pathlib.Path, default=ROOT, help="the tree to break")
    parser.add_argument("--folder", type=pathlib.Path, help="where the copy and its build are kept")
    options = parser.parse_args(arguments)
    try:
        mutants = [read_mutant(patch)
                   for patch in sorted((options.source / "tests" / "mutants").glob("*.patch"))
                   if options.only in patch.stem]
        if not mutants:
            raise MutantError("there are no such mutants")
        if options.list:
            for mutant in mutants:
                print(f"{mutant.name} (promise {mutant.promise}): {mutant.breaks}")
            return 0
        folder = options.folder or options.source / "build-mutants"
        return 1 if run(options.source, folder.resolve(), mutants) else 0
    except MutantError as error:
        print(f"run_mutants.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
