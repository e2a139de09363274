"""The systems that are compared: how each is started on a free port, pinned, watched and stopped.

A system is a process of its own in a temporary folder. It never touches a service of the machine.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

READY_SECONDS = 600  # A start with the largest table.
STOP_SECONDS = 60
CLIENTS_MAX = 16_000  # Connections that redis and memcached are told to allow.


class System:
    """A running server: its target for entrepot-bench, its process, its name in tables."""

    def __init__(self, name, target, process, folder, options=()):
        self.name = name
        self.target = target
        self.process = process
        self.folder = folder
        self.options = list(options)  # What entrepot-bench needs besides the target.

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        """Ends the process and keeps its folder."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=STOP_SECONDS)
        for ports_file in self.folder.glob("ports.json"):
            ports_file.unlink()

    def stop(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


class Launcher:
    """Starts systems on one core.

    `bin_dir` holds the programs of this project, `core` is where servers run, `transport` is what
    the system called "entrepot" speaks through; the names of others say it.
    """

    NAMES = ("entrepot", "entrepot-zmq", "entrepot-native", "zmq-echo", "epoll-echo", "zmq-pub", "redis", "memcached",
             "memcached-meta")

    def __init__(self, bin_dir, core, transport):
        self.bin_dir = pathlib.Path(bin_dir)
        self.core = core
        self.transport = transport

    def start(self, name, options=(), folder=None):
        """The system called `name`, that listens; `options` are the server's own. With the `folder`
        of one that was ended it has what that one kept."""
        folder = folder or pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        starters = {
            "entrepot": self._start_entrepot,
            "entrepot-zmq": self._start_entrepot,
            "entrepot-native": self._start_entrepot,
            "zmq-echo": self._start_echo,
            "epoll-echo": self._start_echo,
            "zmq-pub": self._start_echo,
            "redis": self._start_redis,
            "memcached": self._start_memcached,
            "memcached-meta": self._start_memcached,
        }
        return starters[name](name, folder, list(options))

    def _start_entrepot(self, name, folder, options):
        data = ["--data", str(folder / "data")] if "--durable" in options else ["--data", "none"]
        options = [option for option in options if option != "--durable"]
        command = [str(self.bin_dir / "entrepot-server"), "--listen", "tcp://127.0.0.1:0",
                   *data, "--admin", "off", *options]
        if "--feed" not in options:
            command += ["--feed", "off"]
        command += ["--transport", name.partition("-")[2] or self.transport]
        process, endpoint = self._start_with_ports_file(command, folder)
        return System(name, endpoint, process, folder)

    def _start_echo(self, name, folder, options):
        command = [str(self.bin_dir / f"bench-{name}"), *options]
        process, endpoint = self._start_with_ports_file(command, folder)
        return System(name, endpoint.replace("tcp://", "zmq-echo://"), process, folder)

    def _start_redis(self, name, folder, options):
        port = free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
                   "--save", "", "--logfile", str(folder / "log"),
                   "--maxclients", str(CLIENTS_MAX), *options]
        process = self._start(command, folder)
        wait_for_port(port, process)
        return System(name, f"redis://127.0.0.1:{port}", process, folder)

    def _start_memcached(self, name, folder, options):
        port = free_port()
        command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1",
                   "-m", "4096", "-c", str(CLIENTS_MAX), "-u", "root", *options]
        process = self._start(command, folder)
        wait_for_port(port, process)
        meta = ["--memcached-meta"] if name == "memcached-meta" else []
        return System(name, f"memcached://127.0.0.1:{port}", process, folder, meta)

    def _start_with_ports_file(self, command, folder):
        ports_file = folder / "ports.json"
        process = self._start([*command, "--ports-file", str(ports_file)], folder)
        wait_until(ports_file.exists, process, command[0])
        return process, json.loads(ports_file.read_text(encoding="utf-8"))["listen"][0]

    def _start(self, command, folder):
        with open(folder / "output", "wb") as output:
            return subprocess.Popen(["taskset", "-c", str(self.core), *command], cwd=folder,
                                    stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, process):
    def connects():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(connects, process, f"the server on port {port}")


def wait_until(ready, process, what):
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready within {READY_SECONDS} s")
        time.sleep(0.02)


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} tells no resident memory")
