"""What the tables ask of a server besides load: snapshots, and whether it answers.

Entrepôt is asked in its own protocol, Redis by redis-cli.
"""

import subprocess
import threading
import time

import msgpack
import zmq

ANSWER_SECONDS = 600   # A snapshot of the largest table.
ASK_AGAIN_SECONDS = 0.005


class ServerError(Exception):
    """An answer that is an error."""


def ask_entrepot(target, method, *params):
    """The result of one request."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    try:
        socket.connect(target)
        socket.send(msgpack.packb([0, 1, method, list(params)]))
        if not socket.poll(ANSWER_SECONDS * 1000):
            raise ServerError(f"{method}: no answer within {ANSWER_SECONDS} s")
        _, _, error, result = msgpack.unpackb(socket.recv(), strict_map_key=False)
    finally:
        socket.close()
    if error is not None:
        raise ServerError(f"{error['code']}: {error['message']}")
    return result


def ask_redis(target, *command):
    """What redis-cli prints."""
    port = target.rsplit(":", 1)[1]
    return subprocess.run(["redis-cli", "-p", port, *command], capture_output=True, text=True,
                          check=True, timeout=ANSWER_SECONDS).stdout.strip()


def write_snapshot(system):
    """Returns when it is on disk."""
    if system.name != "redis":
        ask_entrepot(system.target, "save")
        return
    last = ask_redis(system.target, "LASTSAVE")
    # LASTSAVE counts seconds: within one, two snapshots could not be told apart.
    while time.time() < int(last) + 1:
        time.sleep(ASK_AGAIN_SECONDS)
    ask_redis(system.target, "BGSAVE")
    while ask_redis(system.target, "LASTSAVE") == last:
        time.sleep(ASK_AGAIN_SECONDS)


def answers(system, methods):
    """Whether the server answers each of these (method and params, for Entrepôt)."""
    if system.name == "redis":
        return ask_redis(system.target, "PING") == "PONG"
    try:
        for method in methods or (("get", "nothing"),):
            ask_entrepot(system.target, *method)
    except ServerError:
        return False  # It still reads its data, or builds an index.
    return True


class Snapshots:
    """Has a server write one snapshot after the other for as long as the context lasts."""

    def __init__(self, system):
        self._system = system
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written = 0
        self.failure = None

    def _run(self):
        try:
            while not self._stop.is_set():
                write_snapshot(self._system)
                self.written += 1
        except (ServerError, subprocess.SubprocessError) as failure:
            self.failure = failure

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise RuntimeError(f"no snapshot was written: {self.failure}") from self.failure
