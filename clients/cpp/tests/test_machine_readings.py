"""The publisher in C++ against a real server: what it writes, how it ends, what it survives."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from typing import Dict, List

from harness.peer import Peer
from harness.server import binary, start_server, wait_until

TIMEOUT_S = 60.0


def publisher(endpoint: str, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([binary("machine_readings"), "--server", endpoint, *flags],
                            stderr=subprocess.PIPE, text=True)


def readings(endpoint: str) -> Dict[str, object]:
    with Peer(endpoint) as peer:
        page = peer.call("scan", "machine:", {"values": True, "limit": 1000})
    return dict(zip(page["keys"], page.get("values", [])))


def test_publishes_readings_with_a_ttl() -> None:
    machine = f"machine:{os.uname().nodename}:"
    with start_server() as server:
        process = publisher(server.endpoint, "--rate", "100", "--count", "3")
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        assert said.endswith("ended after 3\n")
        found = readings(server.endpoint)
        assert 0 <= found[machine + "cpu_percent"] <= 100
        assert 0 < found[machine + "memory_available_bytes"] < found[machine + "memory_total_bytes"]
        assert found[machine + "network:lo:received_bytes"] >= 0
        with Peer(server.endpoint) as peer:
            assert 0 < peer.call("get", machine + "cpu_percent")["ttl_ms"] <= 3000


def test_ctrl_c_ends_it_cleanly() -> None:
    with start_server() as server:
        process = publisher(server.endpoint)
        wait_until(lambda: bool(readings(server.endpoint)), "something is published", TIMEOUT_S)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        assert "ended after" in said


def test_survives_a_server_that_goes_and_comes_back() -> None:
    said: List[str] = []
    with start_server() as server:
        endpoint = server.endpoint
        process = publisher(endpoint, "--rate", "20")
        assert process.stderr is not None
        said.append(process.stderr.readline())
        wait_until(lambda: bool(readings(endpoint)), "something is published", TIMEOUT_S)
    said.append(process.stderr.readline())
    with start_server(listen=[endpoint]):
        said.append(process.stderr.readline())
        wait_until(lambda: bool(readings(endpoint)), "it publishes again", TIMEOUT_S)
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
    assert said[0] == f"publishing to {endpoint}; Ctrl-C ends\n"
    assert said[1].startswith("the server is away: ")
    assert said[2] == "the server is back\n"
