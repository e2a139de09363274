"""Threads, forks, closing with calls in flight, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest

from entrepot import Client, errors
from entrepot._engine import Engine
from scripted_server import Incoming, ScriptedServer
from server_process import ServerProcess

WAIT_SECONDS_MAX = 20.0


def threads_of_this_process() -> int:
    """All of them, those of libzmq too."""
    return len(os.listdir("/proc/self/task"))


def files_of_this_process() -> int:
    return len(os.listdir("/proc/self/fd"))


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def never_answer(request: Incoming) -> Any:
    return None


def test_threads_share_a_client(client: Client) -> None:
    def work() -> None:
        for _ in range(50):
            client.increment("n")

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("n") == 500


def test_a_client_has_one_thread_of_its_own_and_leaves_none(shared_server: ServerProcess) -> None:
    gc.collect()
    names_before = {thread.name for thread in threading.enumerate()}
    client = Client(shared_server.endpoint)
    assert {thread.name for thread in threading.enumerate()} == names_before
    client.ping()
    assert [thread.name for thread in threading.enumerate()].count("entrepot-client") == 1
    client.close()
    assert {thread.name for thread in threading.enumerate()} == names_before


def test_no_thread_and_no_file_is_left(shared_server: ServerProcess) -> None:
    def use_and_close() -> None:
        clients = [Client(shared_server.endpoint) for _ in range(30)]
        for client in clients:
            client.ping()
        for client in clients:
            client.close()

    use_and_close()
    gc.collect()
    threads, files = threads_of_this_process(), files_of_this_process()
    for _ in range(3):
        use_and_close()
    gc.collect()
    wait_until(lambda: threads_of_this_process() <= threads)
    wait_until(lambda: files_of_this_process() <= files)


def test_a_client_that_is_dropped_is_closed(shared_server: ServerProcess) -> None:
    threads = threading.active_count()
    client = Client(shared_server.endpoint)
    client.ping()
    assert threading.active_count() == threads + 1
    del client
    gc.collect()
    wait_until(lambda: threading.active_count() == threads)


def test_a_silent_peer_leaves_no_sockets_behind() -> None:
    with ScriptedServer(never_answer) as server:
        with Client(server.endpoint, timeout_ms=200, retries=3) as client:
            for _ in range(2):
                with pytest.raises(errors.Timeout):
                    client.get("a")
            files = files_of_this_process()
            for _ in range(5):
                with pytest.raises(errors.Timeout):
                    client.get("a")
            wait_until(lambda: files_of_this_process() <= files)


def test_close_ends_calls_in_flight() -> None:
    with ScriptedServer(never_answer) as server:
        client = Client(server.endpoint, timeout_ms=60_000)
        caught: List[errors.EntrepotError] = []

        def call() -> None:
            try:
                client.set("a", 1)
            except errors.EntrepotError as error:
                caught.append(error)

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(server.requests) == 5)
        client.close()
        for thread in threads:
            thread.join()
    assert [error.code for error in caught] == ["closed"] * 5
    assert all(error.maybe_applied for error in caught)


def test_a_closed_client_stays_closed(shared_server: ServerProcess) -> None:
    client = Client(shared_server.endpoint)
    client.ping()
    client.close()
    client.close()
    with pytest.raises(errors.Closed):
        client.ping()
    never_used = Client(shared_server.endpoint)
    never_used.close()
    with pytest.raises(errors.Closed):
        never_used.ping()


def test_a_view_has_its_own_options_on_the_same_connection(shared_server: ServerProcess) -> None:
    with Client(shared_server.endpoint) as client:
        client.ping()
        threads = threading.active_count()
        view = client.with_options(timeout_ms=123, retries=0)
        view.ping()
        assert threading.active_count() == threads
    with pytest.raises(errors.Closed):
        view.ping()


def test_a_call_that_is_interrupted_is_not_sent_again() -> None:
    class Interrupt(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupt

    def answer_others_at_the_third_attempt(request: Incoming) -> Any:
        attempts = [sent.params[0] for sent in server.requests].count(request.params[0])
        if request.params[0] == "interrupted" or attempts < 3:
            return None
        return {"status": "not_found", "version": 0}

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ScriptedServer(answer_others_at_the_third_attempt) as server:
            # Repeats an attempt every 500 ms.
            with Client(server.endpoint, timeout_ms=60_000, retries=119) as client:
                main = threading.get_ident()

                def send_when_asked() -> None:
                    wait_until(lambda: len(server.requests) > 0)
                    signal.pthread_kill(main, signal.SIGUSR1)

                sender = threading.Thread(target=send_when_asked)
                sender.start()
                with pytest.raises(Interrupt):
                    client.get("interrupted")
                sender.join()
                sent = [request.params[0] for request in server.requests].count("interrupted")
                assert client.get("other") is None
            keys = [request.params[0] for request in server.requests]
            assert keys.count("interrupted") == sent
            assert keys.count("other") >= 3
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("case", ["no answer", "no session", "nobody there"])
def test_a_call_that_waits_sleeps(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []
    advance = Engine.advance

    def count_and_advance(engine: Engine, now: float) -> None:
        turns.append(now)
        advance(engine, now)

    monkeypatch.setattr(Engine, "advance", count_and_advance)
    with ScriptedServer(never_answer) as server:
        server.answers_hello = False
        endpoint = "tcp://127.0.0.1:1" if case == "nobody there" else server.endpoint
        with Client(endpoint, timeout_ms=1000, connect_wait_ms=60_000) as client:
            with pytest.raises(errors.EntrepotError):
                client.ping() if case == "no answer" else client.set("a", 1)
    assert 2 <= len(turns) < 100


def in_child(work: Callable[[], None]) -> int:
    """Runs work in a forked child and gives its exit status."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_a_client_works_on_both_sides_of_a_fork(
    shared_server: ServerProcess, client: Client
) -> None:
    client.increment("n")

    def work() -> None:
        assert client.increment("n").value == 2
        client.close()

    assert in_child(work) == 0
    assert client.increment("n").value == 3


def test_a_fork_while_other_threads_call(shared_server: ServerProcess, client: Client) -> None:
    enough = threading.Event()

    def call() -> None:
        while not enough.is_set():
            client.increment("busy")

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(5):
            assert in_child(lambda: client.increment("n") and None) == 0
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert client.get("n") == 5


def test_a_child_that_ends_normally_does_not_hang(
    shared_server: ServerProcess, tmp_path: Path
) -> None:
    program = """
import os, sys
from entrepot import Client
client = Client(sys.argv[1])
client.ping()
process = os.fork()
if process == 0:
    client.ping()
    sys.exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
client.ping()
sys.exit(0 if status == 7 else 1)
"""
    run_program(program, shared_server.endpoint)


def test_a_program_that_forgets_to_close_ends(shared_server: ServerProcess) -> None:
    run_program(
        "import sys\nfrom entrepot import Client\nclient = Client(sys.argv[1])\nclient.ping()\n",
        shared_server.endpoint,
    )


def run_program(program: str, endpoint: str) -> None:
    package = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": package}
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, endpoint],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
