"""Programs under test, started on free ports in a temporary folder and stopped by their tests."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
BIN_DIR = pathlib.Path(os.environ.get("ENTREPOT_BIN_DIR", FOLDER.parents[2] / "build" / "bin"))
READY_SECONDS = 30

sys.path.insert(0, str(FOLDER.parent))
from suite import systems  # noqa: E402: its folder is no package that is installed


class Server:
    """A process that writes its port to a file when it is ready."""

    def __init__(self, command, ports_file):
        self.process = subprocess.Popen([*command, "--ports-file", str(ports_file)])
        deadline = time.monotonic() + READY_SECONDS
        while not ports_file.exists():
            assert self.process.poll() is None, f"{command[0]} ended with {self.process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} is not ready"
            time.sleep(0.01)
        endpoint = json.loads(ports_file.read_text(encoding="utf-8"))["listen"][0]
        self.address = endpoint.removeprefix("tcp://")
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=READY_SECONDS)


class Bench:
    """Runs entrepot-bench."""

    def __init__(self, folder):
        self.folder = folder
        self.runs = 0

    def start(self, target, *options):
        """The finished process, whatever its exit status."""
        command = [str(BIN_DIR / "entrepot-bench"), "--target", target, *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def run(self, target, *options, status=0):
        """The JSON document of a run that ended with `status`."""
        self.runs += 1
        file = self.folder / f"run-{self.runs}.json"
        done = self.start(target, "--json", file, *options)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def start_server(tmp_path):
    """Starts a server by its command line, without --ports-file."""
    servers = []

    def start(*command):
        servers.append(Server(list(map(str, command)), tmp_path / f"ports-{len(servers)}.json"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def flawed_server(start_server):
    """Starts the server of flawed_server.py with the flaws that its options name."""
    return lambda *flaws: start_server(sys.executable, FOLDER / "flawed_server.py", *flaws)


@pytest.fixture
def epoll_echo(start_server):
    return start_server(BIN_DIR / "bench-epoll-echo")


@pytest.fixture
def zmq_echo(start_server):
    return start_server(BIN_DIR / "bench-zmq-echo")


@pytest.fixture
def start_peer():
    """Starts redis or memcached as the suite describes them."""
    launcher = systems.Launcher(BIN_DIR, core=0, transport="zmq")
    started = []

    def start(name):
        started.append(launcher.start(name))
        return started[-1]

    yield start
    for system in started:
        system.stop()
