"""A real entrepot-server for a test: on free ports, in its own folder, stopped by its pid.

    with start_server() as server:
        peer = Peer(server.endpoint)

Start is acknowledged: start_server() returns when the server has written its ports file, and fails
with the server's own log when it ends before that. Nothing here sleeps to let things settle.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Callable, Dict, List, Mapping, Optional, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Long enough for a sanitizer build on a busy machine; a healthy start takes milliseconds.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
ASK_INTERVAL_S = 0.005


def binary(name: str) -> str:
    """The path of one of the project's programs."""
    folder = os.environ.get("ENTREPOT_BIN_DIR", str(ROOT / "build" / "bin"))
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not built; ENTREPOT_BIN_DIR names another folder")
    return path


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    """Asks again and again until the condition holds; raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(ASK_INTERVAL_S)


class Server:
    """A running server. Made by start_server(); a context manager that stops it."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: pathlib.Path):
        self._process = process
        self._folder = folder
        self._ports: Optional[Dict[str, object]] = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def folder(self) -> pathlib.Path:
        """The server's own folder; it is removed when the server is closed."""
        return self._folder

    @property
    def ports(self) -> Dict[str, object]:
        """What the server wrote to its ports file: listen, feed and admin."""
        if self._ports is None:
            self._ports = json.loads((self._folder / "ports.json").read_text())
        return self._ports

    @property
    def endpoints(self) -> List[str]:
        """The request endpoints, in the order in which they were asked for."""
        listen = self.ports["listen"]
        assert isinstance(listen, list)
        return listen

    @property
    def endpoint(self) -> str:
        return self.endpoints[0]

    @property
    def feed(self) -> str:
        """The feed's endpoint, of a server that has one."""
        feed = self.ports["feed"]
        assert isinstance(feed, str)
        return feed

    def log(self) -> str:
        """Everything that the server has printed so far, on both of its outputs."""
        return (self._folder / "log").read_text(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        """The memory that the server holds now (VmRSS)."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"the process {self.pid} has no VmRSS: it has ended")

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Waits for the server to end by itself; its exit status."""
        return self._process.wait(timeout_s)

    def send_signal(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Sends the signal, waits for the end and returns the exit status."""
        self.send_signal(signal_number)
        return self._process.wait(STOP_TIMEOUT_S)

    def wait_until_ready(self) -> None:
        wait_until(lambda: (self._folder / "ports.json").exists() or not self.is_running(),
                   "the server writes its ports file", START_TIMEOUT_S)
        if not self.is_running():
            raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.log()}")

    def close(self) -> None:
        """Ends the server if it still runs, and removes its folder."""
        if self.is_running():
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        shutil.rmtree(self._folder)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def launch(arguments: Sequence[str],
           environment: Optional[Mapping[str, str]] = None,
           program: str = "entrepot-server") -> Server:
    """Starts the server with its ports file set and everything else as `arguments` say.

    Does not wait. The texts `{folder}` in the arguments stand for the server's own folder.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-test-"))
    command = [binary(program), "--ports-file", str(folder / "ports.json")]
    command += [argument.replace("{folder}", str(folder)) for argument in arguments]
    full_environment = dict(os.environ if environment is None else {**os.environ, **environment})
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=folder, env=full_environment)
    return Server(process, folder)


def start_server(arguments: Sequence[str] = (),
                 listen: Sequence[str] = ("tcp://127.0.0.1:0",),
                 environment: Optional[Mapping[str, str]] = None,
                 program: str = "entrepot-server", feed: str = "off") -> Server:
    """Starts a server in memory, without administration, and waits until it is ready."""
    fixed = ["--data", "none", "--feed", feed, "--admin", "off"]
    for endpoint in listen:
        fixed += ["--listen", endpoint]
    server = launch(fixed + list(arguments), environment, program)
    try:
        server.wait_until_ready()
    except BaseException:
        server.close()
        raise
    return server
