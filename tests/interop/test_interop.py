"""Programs that speak ZMTP without libzmq work against the server, on both transports.

Each program is a few checks over DEALER and REQ that reports one line a check; what it has written
is read back here through libzmq, and what is written here is read there. The programs are built
outside of the tree, from sources whose dependencies their own build tools fetch.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Dict, List

import pytest

from harness.peer import Peer
from harness.server import start_server

HERE = pathlib.Path(__file__).resolve().parent
TRANSPORTS = ["zmq"] if os.environ.get("ENTREPOT_QUICK") else ["zmq", "native"]
CHECKS = ["dealer", "envelope", "long_frames", "pipeline", "req", "written"]
BUILD_TIMEOUT_S = 600  # The first build fetches the dependencies.
RUN_TIMEOUT_S = 240
LONG_BYTES = 1 << 20
PIPELINED = 1000


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        message = f"SKIPPED LOUDLY: {', '.join(missing)} is not installed"
        print(message, file=sys.stderr)
        pytest.skip(message)


def build(command: List[str], folder: pathlib.Path) -> None:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                              timeout=BUILD_TIMEOUT_S)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"


def go_program(folder: pathlib.Path) -> List[str]:
    """github.com/go-zeromq/zmq4."""
    need("go")
    build(["go", "build", "-o", str(folder / "interop"), "."], HERE / "go")
    return [str(folder / "interop")]


def java_program(folder: pathlib.Path) -> List[str]:
    """JeroMQ."""
    need("mvn", "java")
    build(["mvn", "--batch-mode", "--quiet", f"-Dinterop.build={folder}", "compile"], HERE / "java")
    dependencies = (folder / "classpath").read_text()
    return ["java", "-cp", f"{folder / 'classes'}:{dependencies}", "entrepot.Interop"]


PROGRAMS = {"go": go_program, "java": java_program}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest,
            tmp_path_factory: pytest.TempPathFactory) -> "tuple[str, List[str]]":
    """The name of a language, and its program's command."""
    return request.param, PROGRAMS[request.param](tmp_path_factory.mktemp(request.param))


def outcomes(command: List[str], endpoint: str) -> Dict[str, str]:
    """What the program says about each of its checks."""
    finished = subprocess.run([*command, endpoint], capture_output=True, text=True,
                              timeout=RUN_TIMEOUT_S)
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    return dict(line.split(" ", 1) for line in finished.stdout.splitlines())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_peer_without_libzmq(program: "tuple[str, List[str]]", transport: str) -> None:
    language, command = program
    with start_server(["--transport", transport]) as server, Peer(server.endpoint) as peer:
        peer.call("set", "written by pyzmq", [1, "two", None])
        assert outcomes(command, server.endpoint) == {check: "ok" for check in CHECKS}
        keys = [f"{language} {what}" for what in ("dealer", "envelope", "long", "counter", "req")]
        dealer, envelope, long, counter, req = (
            item[0] for item in peer.call("get_many", keys)["items"])
        assert dealer == {"colour": "blue", "size": 42}
        assert envelope == "behind an envelope"
        assert isinstance(long, bytes) and len(long) == LONG_BYTES
        assert counter == PIPELINED
        assert req == "from REQ"
        assert server.stop() == 0
