"""Each publisher runs as it stands against a real server: counted, interrupted, and left alone."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from typing import Any, Dict, Iterator, List

import pytest

from harness.peer import Peer
from harness.program import RUN_TIMEOUT_S, Program
from harness.server import Server, start_server, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[1]

LOG = "first line\nsecond line\nthird – with a dash\n"

PROGRAMS = ["machine_readings", "price_feed", "log_tail"]
LANGUAGES = ["python", "python without the client", "javascript"]

KEY_PREFIX = {
    "machine_readings": "machine:",
    "price_feed": "price:",
    "log_tail": "log:app.log:",
}


@pytest.fixture(scope="session", autouse=True)
def javascript_packages() -> None:
    """Installs what package.json names, unless it is there already."""
    if not (FOLDER / "node_modules").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        installed = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
        assert installed.returncode == 0, installed.stderr


@pytest.fixture
def log_file(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "app.log"
    file.write_text(LOG)
    return file


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    with start_server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """A server whose store is empty."""
    with Peer(shared_server.endpoint) as peer:
        while peer.call("delete_prefix", "")["more"]:
            pass
    return shared_server


def command(language: str, program: str, log_file: pathlib.Path) -> List[str]:
    arguments = [str(log_file)] if program == "log_tail" else []
    if language == "javascript":
        return ["node", str(FOLDER / "javascript" / f"{program}.mjs"), *arguments]
    name = program if language == "python" else f"{program}_raw"
    return ["/usr/bin/python3", str(FOLDER / "python" / f"{name}.py"), *arguments]


class Publisher(Program):
    """A publisher that runs; a context manager that ends it."""

    def end_cleanly(self, signal_number: int) -> None:
        assert self.end(signal_number) == 0, self.said()
        assert "ended after" in self.said()


def entries(server: Server, program: str) -> Dict[str, Any]:
    options = {"values": True, "limit": 1000}
    with Peer(server.endpoint) as peer:
        page = peer.call("scan", KEY_PREFIX[program], options)
    return dict(zip(page["keys"], page["values"])) if page["keys"] else {}


def publish(
    server: Server, language: str, program: str, log_file: pathlib.Path, count: int
) -> Dict[str, Any]:
    """Runs it with --count, and gives what is in the store after that."""
    flags = ["--server", server.endpoint, "--rate", "100", "--count", str(count)]
    arguments = [*command(language, program, log_file), *flags]
    with Publisher(arguments, log_file.with_suffix(".out")) as publisher:
        assert publisher.process.wait(RUN_TIMEOUT_S) == 0, publisher.said()
        assert publisher.said().endswith(f"ended after {count}\n")
    return entries(server, program)


@pytest.mark.parametrize("language", LANGUAGES)
def test_machine_readings(server: Server, language: str, log_file: pathlib.Path) -> None:
    readings = publish(server, language, "machine_readings", log_file, 3)
    machine = f"machine:{os.uname().nodename}:"
    assert all(key.startswith(machine) for key in readings)
    by_name = {key[len(machine) :]: value for key, value in readings.items()}
    assert 0 <= by_name["cpu_percent"] <= 100
    assert 0 < by_name["memory_available_bytes"] < by_name["memory_total_bytes"]
    assert "network:lo:received_bytes" in by_name
    with Peer(server.endpoint) as peer:
        entry = peer.call("get", machine + "cpu_percent")
    assert 0 < entry["ttl_ms"] <= 3000


@pytest.mark.parametrize("language", LANGUAGES)
def test_price_feed(server: Server, language: str, log_file: pathlib.Path) -> None:
    prices = publish(server, language, "price_feed", log_file, 5)
    assert prices == {
        "price:ACME": {"price": 101.3, "time": "2026-01-05T09:00:01.900Z"},
        "price:GLOBEX": {"price": 54.1, "time": "2026-01-05T09:00:00.400Z"},
        "price:HOOLI": {"price": 230, "time": "2026-01-05T09:00:02.000Z"},
        "price:INITECH": {"price": 12.875, "time": "2026-01-05T09:00:01.100Z"},
    }
    # After its last line the feed begins again.
    again = publish(server, language, "price_feed", log_file, 13)
    assert again["price:ACME"]["time"] == "2026-01-05T09:00:00.000Z"


@pytest.mark.parametrize("language", LANGUAGES)
def test_log_tail(server: Server, language: str, log_file: pathlib.Path) -> None:
    lines = publish(server, language, "log_tail", log_file, 2)
    assert lines == {
        "log:app.log:000000001": "first line",
        "log:app.log:000000002": "second line",
    }
    lines = publish(server, language, "log_tail", log_file, 3)
    assert lines["log:app.log:000000003"] == "third – with a dash"


@pytest.mark.parametrize("language", LANGUAGES)
def test_log_tail_follows_what_is_added_and_replaced(
    server: Server, language: str, log_file: pathlib.Path
) -> None:
    flags = ["--server", server.endpoint, "--rate", "100"]

    def wait_for(key: str, text: str) -> None:
        wait_until(
            lambda: entries(server, "log_tail").get(f"log:app.log:{key}") == text,
            f"line {key} is {text!r}",
            RUN_TIMEOUT_S,
        )

    arguments = [*command(language, "log_tail", log_file), *flags]
    with Publisher(arguments, log_file.with_suffix(".out")) as publisher:
        wait_for("000000003", "third – with a dash")
        with log_file.open("a") as log:
            log.write("fourth")
            log.flush()
            log.write(" line\n")
        wait_for("000000004", "fourth line")
        log_file.unlink()
        log_file.with_suffix(".new").write_text("a new beginning\n")
        log_file.with_suffix(".new").rename(log_file)
        wait_for("000000001", "a new beginning")
        publisher.end_cleanly(signal.SIGINT)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_ends_it_cleanly(
    server: Server, program: str, language: str, signal_number: int, log_file: pathlib.Path
) -> None:
    flags = ["--server", server.endpoint, "--rate", "2"]
    arguments = [*command(language, program, log_file), *flags]
    with Publisher(arguments, log_file.with_suffix(".out")) as publisher:
        wait_until(lambda: len(entries(server, program)) > 0, "it publishes", RUN_TIMEOUT_S)
        publisher.end_cleanly(signal_number)
        assert "Traceback" not in publisher.said()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_server_that_goes_away_and_comes_back_is_survived_and_said(
    program: str, language: str, log_file: pathlib.Path
) -> None:
    with start_server() as server:
        endpoint = server.endpoint
        flags = ["--server", endpoint, "--rate", "20"]
        arguments = [*command(language, program, log_file), *flags]
        with Publisher(arguments, log_file.with_suffix(".out")) as publisher:
            wait_until(lambda: len(entries(server, program)) > 0, "it publishes", RUN_TIMEOUT_S)
            assert server.stop() == 0
            with log_file.open("a") as log:
                log.write("written while the server was away\n")
            publisher.wait_until_said("the server is away: ")
            with start_server(listen=[endpoint]) as restarted:
                publisher.wait_until_said("the server is back")
                wait_until(
                    lambda: len(entries(restarted, program)) > 0, "it publishes", RUN_TIMEOUT_S
                )
                publisher.end_cleanly(signal.SIGINT)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("flag", ["--rate", "--count"])
def test_a_senseless_flag_is_refused(language: str, flag: str, log_file: pathlib.Path) -> None:
    arguments = [*command(language, "price_feed", log_file), flag, "0"]
    refused = subprocess.run(arguments, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    assert refused.returncode == 2
    assert "above 0" in refused.stderr
