"""Each raw example runs as it stands against a real server, and leaves nothing behind."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from typing import Iterator, List, Sequence

import pytest

from harness.peer import Peer
from harness.server import Server, start_server

FOLDER = pathlib.Path(__file__).resolve().parents[1]
RUN_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_server() as running:
        yield running


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S)


def output_of(command: Sequence[str], server: Server) -> List[str]:
    finished = run([*command, "--server", server.endpoint])
    assert finished.returncode == 0, finished.stderr
    with Peer(server.endpoint) as peer:
        assert peer.call_when_ready("count", {"key_prefix": "raw."})["count"] == 0
    return finished.stdout.splitlines()


def line(lines: Sequence[str], title: str) -> str:
    found = [text for text in lines if text.startswith(title)]
    assert len(found) == 1, lines
    return found[0]


def check_tour(lines: Sequence[str]) -> None:
    assert "created" in line(lines, "set")
    assert "found" in line(lines, "get") and "green" in line(lines, "get")
    assert "conflict" in line(lines[1:], "conflict") and "green" in line(lines, "conflict")
    assert "/colour" in line(lines, "find")


def test_python(server: Server) -> None:
    lines = output_of(["/usr/bin/python3", "raw.py"], server)
    check_tour(lines)
    assert "invalid_argument" in line(lines, "error")
    assert line(lines, "clean up").endswith("3 entries deleted")


def test_javascript(server: Server) -> None:
    if not (FOLDER / "node_modules").exists():
        installed = run(["npm", "install", "--no-audit", "--no-fund",
                         "--no-package-lock"])
        assert installed.returncode == 0, installed.stderr
    lines = output_of(["node", "raw.mjs"], server)
    text = "\n".join(lines)
    assert "status: 'created'" in text and "value: 'green'" in text
    assert "status: 'conflict'" in text and "invalid_argument" in line(lines, "error")
    assert line(lines, "clean up").endswith("3 entries deleted")


def test_c(server: Server, tmp_path: pathlib.Path) -> None:
    libraries = run(["pkg-config", "--cflags", "--libs", "libzmq", "msgpack"])
    assert libraries.returncode == 0, libraries.stderr
    program = str(tmp_path / "raw")
    compiler = shutil.which("cc")
    assert compiler, "a C compiler"
    built = run([compiler, "-Wall", "-Wextra", "-Werror", "raw.c", "-o", program,
                 *libraries.stdout.split()])
    assert built.returncode == 0, built.stderr
    lines = output_of([program], server)
    check_tour(lines)
    assert '"deleted"=>2' in line(lines, "clean up").replace('"deleted"=> 2', '"deleted"=>2')


@pytest.mark.parametrize("command", [["/usr/bin/python3", "raw.py"], ["node", "raw.mjs"]])
def test_no_server_is_said(command: List[str]) -> None:
    finished = run([*command, "--server", "ipc:///nowhere/entrepot-test-nobody-listens"])
    assert finished.returncode == 1
    assert "is entrepot-server running?" in finished.stderr
