"""The program itself: signals, flags, environment, configuration file, logs, two side by side."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
from typing import Dict, Mapping, Optional

import pytest

from harness.peer import Peer, request, responses
from harness.server import Server, binary, launch, start_server, wait_until

RUN_TIMEOUT_S = 60


def run(*arguments: str, environment: Optional[Mapping[str, str]] = None
        ) -> "subprocess.CompletedProcess[str]":
    """Runs the program until it ends by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    return subprocess.run([binary("entrepot-server"), *arguments], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, env={**clean, **(environment or {})})


def limits(server: Server) -> Dict[str, int]:
    with Peer(server.endpoint) as peer:
        return dict(peer.call("hello")["limits"])


# ---- start and stop -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(number: int) -> None:
    with start_server() as server:
        with Peer(server.endpoint) as peer:
            peer.call("set", "key", 1)
        assert server.stop(number) == 0
        # A person reads in the log where it listened, and that it stopped.
        assert server.endpoint in server.log()
        assert re.search(r"stop", server.log(), re.IGNORECASE), server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_under_load(number: int) -> None:
    with start_server() as server:
        stop = threading.Event()

        def work() -> None:
            with Peer(server.endpoint) as peer:
                while not stop.is_set():
                    peer.send(request(1, "increment", "counter", 1) * 100)
                    if not peer.socket.poll(1000):
                        return
                    peer.receive()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        with Peer(server.endpoint) as peer:
            wait_until(lambda: peer.call("get", "counter").get("value", 0) > 1000,
                       "the load arrives", RUN_TIMEOUT_S)
        status = server.stop(number)
        stop.set()
        for thread in threads:
            thread.join()
        assert status == 0, server.log()


def test_what_was_received_is_answered_before_it_ends() -> None:
    with start_server() as server, Peer(server.endpoint) as peer, Peer(server.endpoint) as other:
        # The body's first request shows to the other peer that the body has been received.
        body = request(0, "set", "received", 1) + b"".join(
            request(number, "set", f"key {number}", number) for number in range(1, 30_000))
        peer.send(body)
        wait_until(lambda: other.call("get", "received")["status"] == "found",
                   "the body arrives", RUN_TIMEOUT_S)
        server.send_signal(signal.SIGTERM)
        answers = responses(peer.receive()[-1])
        assert len(answers) == 30_000
        # Run, or refused by name; never half a body without an answer.
        assert {answer[2]["code"] for answer in answers if answer[2] is not None} <= {"unavailable"}
        assert server.wait() == 0


def test_the_ports_file() -> None:
    with start_server(listen=["tcp://127.0.0.1:0", "ipc://{folder}/requests"]) as server:
        written = json.loads((server.folder / "ports.json").read_text())
        assert set(written) == {"listen", "feed", "admin"}
        assert written["feed"] is None and written["admin"] is None
        tcp, ipc = written["listen"]
        assert re.fullmatch(r"tcp://127\.0\.0\.1:[1-9][0-9]*", tcp)
        assert ipc == f"ipc://{server.folder}/requests"
        # It was written whole, by renaming: nothing else is left in the folder.
        assert {path.name for path in server.folder.iterdir()} == {"ports.json", "log", "requests"}


def test_a_ports_file_that_cannot_be_written() -> None:
    finished = run("--data", "none", "--listen", "tcp://127.0.0.1:0", "--ports-file",
                   "/nowhere/ports.json")
    assert finished.returncode in (1, 2)
    assert "/nowhere/ports.json" in finished.stderr + finished.stdout


def test_a_port_in_use_is_named() -> None:
    with start_server() as server:
        finished = run("--data", "none", "--listen", server.endpoint)
        assert finished.returncode == 1
        assert server.endpoint in finished.stderr + finished.stdout
        assert "in use" in (finished.stderr + finished.stdout).lower()
        with Peer(server.endpoint) as peer:
            assert peer.call("ping") == {"status": "ok"}


def test_two_servers_side_by_side() -> None:
    with start_server() as one, start_server() as other:
        assert one.endpoint != other.endpoint
        with Peer(one.endpoint) as to_one, Peer(other.endpoint) as to_other:
            to_one.call("set", "key", "one")
            assert to_other.call("get", "key")["status"] == "not_found"
            assert to_one.call("hello")["history"] != to_other.call("hello")["history"]


def test_a_server_in_memory_forgets_when_it_stops() -> None:
    with start_server(listen=["ipc://{folder}/requests"]) as first:
        with Peer(first.endpoint) as peer:
            history = peer.call("hello")["history"]
            peer.call("set", "key", 1)
        assert first.stop() == 0
        with start_server(listen=[first.endpoint]) as second, Peer(second.endpoint) as peer:
            assert peer.call("get", "key")["status"] == "not_found"
            assert peer.call("hello")["history"] != history


# ---- what it says -------------------------------------------------------------------------------


def test_no_line_of_the_log_for_a_request() -> None:
    with start_server() as server, Peer(server.endpoint) as peer:
        before = len(server.log().splitlines())
        for number in range(20):
            peer.call_all([("set", f"key {number}", 1)] * 100)
        assert len(server.log().splitlines()) - before < 10


def test_refused_input_is_logged_at_a_limited_rate() -> None:
    with start_server() as server, Peer(server.endpoint) as peer:
        for _ in range(5000):
            peer.send(b"\xc1")
        for _ in range(5000):
            assert responses(peer.receive()[-1])[0][2]["code"] == "malformed"
        lines = len(server.log().splitlines())
        assert 1 < lines < 500, server.log()[:2000]


def test_notifications_that_fail_are_counted() -> None:
    with start_server() as server, Peer(server.endpoint) as peer:
        before = peer.call("stats")
        peer.send(b"".join([b"\x93\x02\xa3set\x91\xa1k"] * 7))
        after = peer.call("stats")
        grown = {name for name in before if isinstance(before[name], int) and
                 after[name] - before[name] == 7}
        assert grown, "some counter of stats rose by 7"


# ---- flags, environment, file -------------------------------------------------------------------


def test_version() -> None:
    finished = run("--version")
    assert finished.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", finished.stdout)


def test_help_names_every_flag() -> None:
    finished = run("--help")
    assert finished.returncode == 0
    for flag in ("--listen", "--feed", "--admin", "--data", "--transport", "--dispatch",
                 "--workers", "--stripes", "--key-index", "--value-index", "--max-value-bytes",
                 "--ports-file", "--log-level", "--config", "--check-config", "--print-config",
                 "--version", "--insecure"):
        assert flag in finished.stdout, flag


BAD_FLAGS = {
    "unknown": (["--no-such-flag"], "no-such-flag"),
    "without a value": (["--listen"], "listen"),
    "unknown choice": (["--dispatch", "sometimes"], "dispatch"),
    "unknown transport": (["--transport", "pigeon"], "transport"),
    "no number": (["--workers", "many"], "workers"),
    "negative": (["--max-requests", "-1"], "max-requests"),
    "zero": (["--max-key-bytes", "0"], "max-key-bytes"),
    "over its range": (["--max-key-bytes", "1000000"], "max-key-bytes"),
    "a huge number": (["--max-value-bytes", "99999999999999999999"], "max-value-bytes"),
    "no endpoint": (["--listen", "5555"], "5555"),
    "unknown protocol": (["--listen", "udp://127.0.0.1:5555"], "udp://127.0.0.1:5555"),
    "no port": (["--listen", "tcp://127.0.0.1"], "tcp://127.0.0.1"),
    "a word too much": (["serve"], "serve"),
}


@pytest.mark.parametrize("flags,named", BAD_FLAGS.values(), ids=list(BAD_FLAGS))
def test_a_bad_flag_is_named(flags: list, named: str) -> None:
    finished = run(*flags)
    assert finished.returncode == 2, finished
    assert named in finished.stderr and finished.stdout == ""


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:0", "tcp://*:0"])
def test_the_network_is_opened_on_purpose_only(endpoint: str) -> None:
    refused = run("--data", "none", "--listen", endpoint)
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr and endpoint in refused.stderr
    with start_server(["--insecure"], listen=[endpoint]) as server:
        port = server.endpoint.rsplit(":", 1)[1]
        with Peer(f"tcp://127.0.0.1:{port}") as peer:
            assert peer.call("ping") == {"status": "ok"}


def test_the_default_is_loopback() -> None:
    printed = run("--print-config")
    assert printed.returncode == 0
    assert "tcp://127.0.0.1:5555" in printed.stdout
    assert "0.0.0.0" not in printed.stdout and "*" not in re.sub(r"#.*", "", printed.stdout)


def test_flags_beat_environment_beats_file_beats_default(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text('max-get-many-keys = 11\nmax-transact-operations = 12\nmax-requests = 13\n')
    environment = {"ENTREPOT_MAX_TRANSACT_OPERATIONS": "22", "ENTREPOT_MAX_REQUESTS": "23"}
    with start_server(["--config", str(file), "--max-requests", "33"],
                      environment=environment) as server:
        told = limits(server)
    assert told["requests"] == 33
    assert told["transact_operations"] == 22
    assert told["get_many_keys"] == 11
    assert told["key_bytes"] == 1024


def test_the_file_can_be_named_by_the_environment(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text("max-requests = 13\n")
    with start_server(environment={"ENTREPOT_CONFIG": str(file)}) as server:
        assert limits(server)["requests"] == 13


BAD_FILES = {
    "an unknown key": ('max-requests = 5\nmax-requets = 5\n', "2:1", "max-requets"),
    "a wrong type": ('\n\nmax-requests = [1]\n', "3:", "max-requests"),
    "a bad choice": ('dispatch = "sometimes"\n', "1:", "dispatch"),
    "no TOML": ('max-requests = 5\nmax-requests 6\n', "2:", ""),
    "a key twice": ('max-requests = 5\nmax-requests = 6\n', "2:", "max-requests"),
}


@pytest.mark.parametrize("text,place,named", BAD_FILES.values(), ids=list(BAD_FILES))
@pytest.mark.parametrize("mode", [[], ["--check-config"]], ids=["start", "check"])
def test_a_bad_file_is_named_with_line_and_column(tmp_path: pathlib.Path, text: str, place: str,
                                                  named: str, mode: list) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text(text)
    finished = run("--config", str(file), *mode)
    assert finished.returncode == 2
    assert f"{file}:{place}" in finished.stderr and named in finished.stderr


def test_a_file_that_is_not_there() -> None:
    finished = run("--config", "/nowhere/entrepot.toml")
    assert finished.returncode == 2
    assert "/nowhere/entrepot.toml" in finished.stderr


def test_a_bad_environment_variable_is_named() -> None:
    finished = run(environment={"ENTREPOT_WORKERS": "many"})
    assert finished.returncode == 2
    assert "ENTREPOT_WORKERS" in finished.stderr


def test_check_config(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text("max-requests = 5\n")
    assert run("--config", str(file), "--check-config").returncode == 0


def test_print_config_prints_what_can_be_read_again(tmp_path: pathlib.Path) -> None:
    first = run("--max-requests", "5", "--dispatch", "workers", "--print-config")
    assert first.returncode == 0
    file = tmp_path / "entrepot.toml"
    file.write_text(first.stdout)
    second = run("--config", str(file), "--print-config")
    assert second.returncode == 0 and second.stdout == first.stdout
    assert re.search(r"^max-requests = 5$", first.stdout, re.MULTILINE)


def test_a_listener_that_cannot_be_made_is_named() -> None:
    server = launch(["--data", "none", "--listen", "ipc:///nowhere/requests"])
    try:
        assert server.wait() == 1
        assert "ipc:///nowhere/requests" in server.log()
    finally:
        server.close()
