"""Servers that keep their data, and the disks under them: full, damaged, not ours.

    with start_durable(tmp_path / "data") as server:
        ...
        kill(server)
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import subprocess
from typing import Any, Dict, Iterator, List, Sequence

from harness.peer import Peer
from harness.server import Server, binary, launch, wait_until

TOOL_TIMEOUT_S = 60
SNAPSHOT_TIMEOUT_S = 60
# In front of the first record of a segment (docs/FORMAT.md).
SEGMENT_HEADER_BYTES = 88


class NotAllowedHere(Exception):
    """This machine does not let the test do what it needs."""


def launch_durable(data: pathlib.Path, arguments: Sequence[str] = (),
                   listen: str = "tcp://127.0.0.1:0") -> Server:
    """Starts a server over the folder `data`, and does not wait."""
    return launch(["--data", str(data), "--feed", "off", "--admin", "off", "--listen", listen,
                   *arguments])


def start_durable(data: pathlib.Path, arguments: Sequence[str] = ()) -> Server:
    """The same, and waits until it is ready."""
    server = launch_durable(data, arguments)
    try:
        server.wait_until_ready()
    except BaseException:
        server.close()
        raise
    return server


def refused_start(data: pathlib.Path, arguments: Sequence[str] = ()) -> "tuple[int, str]":
    """The exit status and the words of a server that does not come up over `data`."""
    with launch_durable(data, arguments) as server:
        return server.wait(), server.log()


def kill(server: Server) -> None:
    """As a crash: the server gets to do nothing more."""
    status = server.stop(signal.SIGKILL)
    assert status == -signal.SIGKILL, f"it had ended with {status} before:\n{server.log()}"


def run_tool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `entrepot-server verify`, `repair` or `dump` to its end."""
    return subprocess.run([binary("entrepot-server"), *arguments], capture_output=True, text=True,
                          timeout=TOOL_TIMEOUT_S)


def segments(data: pathlib.Path) -> List[pathlib.Path]:
    return sorted(data.glob("*.log"))


def snapshots(data: pathlib.Path) -> List[pathlib.Path]:
    return sorted(data.glob("*.snapshot"))


def flip_bit(path: pathlib.Path, offset: int) -> None:
    """As a disk that does not keep what it was given."""
    with open(path, "r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def dumped_records(data: pathlib.Path) -> List[Dict[str, Any]]:
    """The records of a stopped server's log, as `dump` tells them."""
    dumped = run_tool("dump", str(data))
    assert dumped.returncode == 0, dumped.stderr
    return [json.loads(line) for line in dumped.stdout.splitlines()]


def contents(peer: Peer) -> Dict[Any, Any]:
    """Every entry with its version."""
    found: Dict[Any, Any] = {}
    options: Dict[str, Any] = {"values": True, "limit": 1000}
    while True:
        page = peer.call_when_ready("scan", "", options)
        for key, value, version in zip(page["keys"], page["values"], page["versions"]):
            found[key] = (value, version)
        if "cursor" not in page:
            return found
        options["cursor"] = page["cursor"]


def session_of(peer: Peer) -> str:
    """A new session of safe retries."""
    return str(peer.call("hello", {"session": True})["session"])


def take_snapshot(server: Server, peer: Peer) -> None:
    """Has a snapshot written, and waits until it is there."""
    before = peer.call("stats")["snapshots"]
    server.send_signal(signal.SIGUSR1)
    wait_until(lambda: bool(peer.call("stats")["snapshots"] > before), "a snapshot",
               SNAPSHOT_TIMEOUT_S)


def fill(peer: Peer, count: int = 200) -> None:
    """Sets `key 0`, `key 1` … in one body: the revisions of a new folder are 1, 2 …"""
    peer.call_all([("set", f"key {number}", f"value {number}") for number in range(count)])


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, size_bytes: int) -> Iterator[pathlib.Path]:
    """A disk of its own at `folder`, in memory; NotAllowedHere where mounting is refused."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs",
                              str(folder)], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise NotAllowedHere(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
