"""The packages example runs as it stands, over all packages of this system."""

from __future__ import annotations

import pathlib
import re
import subprocess

from harness.peer import Peer
from harness.server import Server, start_server

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "packages.py"
RUN_TIMEOUT_S = 300


def run(server: Server, *arguments: str) -> str:
    finished = subprocess.run(
        ["/usr/bin/python3", str(PROGRAM), "--server", server.endpoint, *arguments],
        capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def count(server: Server, prefix: str) -> int:
    with Peer(server.endpoint) as peer:
        return int(peer.call_when_ready("count", {"key_prefix": prefix})["count"])


def test_every_package_is_loaded_and_found() -> None:
    with start_server() as server:
        lines = run(server, "--keep", "--prefix", "lib", "no description starts so").splitlines()
        loaded = re.match(r"(\d+) packages, (\d+) entries", lines[0])
        assert loaded, lines
        packages = int(loaded.group(1))
        # Even a bare system has a hundred packages installed.
        assert packages > 100 and int(loaded.group(2)) == 2 * packages
        assert count(server, "package/") == packages
        assert count(server, "document/") == packages
        times = r"find ([\d.]+) ms, full scan ([\d.]+) ms"
        assert re.match(rf"'lib': \d+ packages.*; {times}", lines[1]), lines
        none = re.match(rf"'no description starts so': 0 packages; {times}", lines[2])
        assert none, lines
        # The point of the index: what is not there is known at once, not after reading everything.
        assert float(none.group(1)) < float(none.group(2))
        with Peer(server.endpoint) as peer:
            dpkg = peer.call("get_many", ["package/dpkg", "document/dpkg"])["items"]
        assert isinstance(dpkg[0][0], str) and dpkg[0][0]
        assert {"version", "section", "installed_kib", "depends"} == set(dpkg[1][0])


def test_a_prefix_that_all_descriptions_have_and_cleaning_up() -> None:
    with start_server() as server:
        lines = run(server, "--count", "3000", "--prefix", "").splitlines()
        assert lines[1].startswith("'': 3000 packages"), lines
        assert count(server, "") == 0
