"""The command line under test, and a server for it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
from typing import Iterator, Mapping, Optional

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from harness.server import Server, binary, start_server  # noqa: E402

TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a run of the program gave."""

    status: int
    out: bytes
    error: str

    @property
    def text(self) -> str:
        return self.out.decode()


class CommandLine:
    """Runs `entrepot` against one server, through pipes."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "ENTREPOT_SERVER": self.endpoint}

    def __call__(self, *words: str, stdin: Optional[bytes] = None) -> Ran:
        done = subprocess.run([binary("entrepot"), *words], input=stdin or b"",
                              capture_output=True, env=self.environment, timeout=TIMEOUT_S)
        return Ran(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with start_server() as running:
        yield running


@pytest.fixture
def entrepot(server: Server) -> CommandLine:
    """The program, with a store that is empty."""
    command_line = CommandLine(server.endpoint)
    assert command_line("del", "--prefix", "").status == 0
    return command_line
