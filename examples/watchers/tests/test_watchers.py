"""Each watcher runs as it stands beside what feeds it, and the server is killed under both."""

from __future__ import annotations

import itertools
import pathlib
import shutil
import signal
import subprocess
from typing import Callable, Dict, Iterator, List, Optional

import pytest

from harness.peer import Peer
from harness.program import RUN_TIMEOUT_S, Program
from harness.server import Server, launch, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[1]
PUBLISHERS = FOLDER.parent / "publishers" / "python"
PYTHON = "/usr/bin/python3"

Run = Callable[..., Program]


class Restartable:
    """A server over a folder, on ports that it keeps."""

    def __init__(self, data: pathlib.Path):
        self._data = data
        self.endpoint = self.feed = "tcp://127.0.0.1:0"
        self._server: Optional[Server] = None

    def start(self) -> None:
        self._server = launch(["--data", str(self._data), "--listen", self.endpoint,
                               "--feed", self.feed, "--admin", "off"])
        self._server.wait_until_ready()
        self.endpoint, self.feed = self._server.endpoint, str(self._server.ports["feed"])

    def kill(self) -> None:
        assert self._server is not None
        assert self._server.stop(signal.SIGKILL) == -signal.SIGKILL, self._server.log()
        self._server.close()
        self._server = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Restartable]:
    running = Restartable(tmp_path / "data")
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def run(server: Restartable, tmp_path: pathlib.Path) -> Iterator[Run]:
    """Starts programs; kills those that still run when the test is over."""
    started: List[Program] = []
    environment: Dict[str, str] = {"ENTREPOT_SERVER": server.endpoint}

    def start(*arguments: str) -> Program:
        command = list(arguments)
        if command[0].endswith(".py"):
            folder = FOLDER if (FOLDER / command[0]).exists() else PUBLISHERS
            command = [PYTHON, str(folder / command[0]), *command[1:]]
        said = tmp_path / f"said {len(started)}"
        started.append(Program(command, said, environment))
        return started[-1]

    try:
        yield start
    finally:
        for program in started:
            program.__exit__()


def end(program: Program) -> None:
    assert program.end() == 0, program.said()
    assert "Traceback" not in program.said()


def test_live_table(server: Restartable, run: Run) -> None:
    run("machine_readings.py", "--rate", "5")
    table = run("live_table.py")
    table.wait_until_said("memory_total_bytes")
    table.wait_until_said("live", times=3)
    server.kill()
    table.wait_until_said("the server is away")
    server.start()
    tables = table.said().count("readings, live")
    table.wait_until_said("readings, live", times=tables + 2)
    end(table)


def test_configuration_reload(server: Restartable, run: Run) -> None:
    service = run("configuration_reload.py")
    service.wait_until_said("settings: {'greeting': 'hello', 'interval_seconds': 10}")
    configured = run("configure.py", "greeting=good day", "interval_seconds=3")
    assert configured.process.wait(RUN_TIMEOUT_S) == 0, configured.said()
    service.wait_until_said("settings: {'greeting': 'good day', 'interval_seconds': 3}")
    server.restart()
    configured = run("configure.py", "greeting=")
    assert configured.process.wait(RUN_TIMEOUT_S) == 0, configured.said()
    service.wait_until_said("settings: {'greeting': 'hello', 'interval_seconds': 3}")
    end(service)


def test_presence(server: Restartable, run: Run) -> None:
    board = run("presence_board.py")
    ada, grace = run("presence_join.py", "ada"), run("presence_join.py", "grace")
    board.wait_until_said("ada joined")
    board.wait_until_said("grace joined")
    end(ada)
    board.wait_until_said("ada left")
    server.restart()
    grace.end(signal.SIGKILL)
    board.wait_until_said("grace left")
    end(board)


def test_jobs(server: Restartable, run: Run) -> None:
    with Peer(server.endpoint) as peer:  # A worker that has died with the first job in its hands.
        peer.call("set", "jobs:claim:1", "the dead", {"ttl_ms": 1500})
    workers = [run("job_worker.py", name) for name in ("ada", "grace")]
    words = [f"word{number}" for number in range(40)]
    giver = run("job_giver.py", *words)
    giver.wait_until_said(" -> ")
    server.restart()
    assert giver.process.wait(RUN_TIMEOUT_S) == 0, giver.said()
    done = [line.partition(" -> ")[0] for line in giver.said().splitlines()]
    assert sorted(done) == sorted(words)
    with Peer(server.endpoint) as peer:
        for prefix in ("jobs:open:", "jobs:claim:", "jobs:done:"):
            assert peer.call_when_ready("count", {"key_prefix": prefix})["count"] == 0, prefix
    for worker in workers:
        end(worker)


def test_raw_watcher(server: Restartable, run: Run) -> None:
    feed = run("price_feed.py", "--rate", "20")
    watcher = run("raw_watcher.py", server.endpoint)
    watcher.wait_until_said("price:ACME", times=2)
    server.restart()
    watcher.wait_until_said("watching again behind ['")
    lines = watcher.said().count("revision")
    watcher.wait_until_said("revision", times=lines + 2)
    revisions = [int(line.split()[1].rstrip(":")) for line in watcher.said().splitlines()
                 if line.startswith("revision")]
    assert all(earlier < later for earlier, later in itertools.pairwise(revisions))
    end(feed)
    end(watcher)


def command_of(language: str, tmp_path: pathlib.Path) -> List[str]:
    if language == "python":
        return ["subscriber.py"]
    if language == "javascript":
        if not (FOLDER / "node_modules").exists():
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
                           cwd=FOLDER, check=True, capture_output=True)
        return ["node", str(FOLDER / "subscriber.mjs")]
    program = str(tmp_path / "subscriber")
    libraries = subprocess.run(["pkg-config", "--cflags", "--libs", "libzmq", "msgpack"],
                               check=True, capture_output=True, text=True).stdout.split()
    compiler = shutil.which("cc")
    assert compiler, "a C compiler"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", str(FOLDER / "subscriber.c"),
                    "-o", program, *libraries], check=True)
    return [program]


@pytest.mark.parametrize("language", ["python", "javascript", "c"])
def test_subscriber(language: str, server: Restartable, run: Run, tmp_path: pathlib.Path) -> None:
    feed = run("price_feed.py", "--rate", "20")
    subscriber = run(*command_of(language, tmp_path), server.feed, "price:A")
    subscriber.wait_until_said("price:ACME", times=2)
    server.kill()
    lines = subscriber.said().count("price:ACME")
    server.start()
    subscriber.wait_until_said("price:ACME", times=lines + 2)
    assert "GLOBEX" not in subscriber.said()
    end(feed)
    # Ctrl-C ends a C program that does not ask for it by the signal itself.
    assert subscriber.end() == (-signal.SIGINT if language == "c" else 0), subscriber.said()
