"""Through a proxy that loses, doubles, delays and cuts: exact counts, and deadlines that hold."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Dict

import pytest

from chaos_proxy import ChaosProxy, Fates
from entrepot import Client, aio, errors
from server_process import ServerProcess

SEED = 20260114
# How much later than its deadline a call may return on a busy machine.
GRACE_SECONDS = 5.0

# Repeats an attempt every 300 ms.
PATIENT: Dict[str, Any] = {"timeout_ms": 60_000, "retries": 199, "connect_wait_ms": 60_000}

CHAOS = {
    "drop": Fates(drop=0.05),
    "double": Fates(double=0.3),
    "cut": Fates(cut=0.03),
    "delay": Fates(delay=0.5),
    "all": Fates(drop=0.02, double=0.1, cut=0.01, delay=0.1),
}


@pytest.mark.parametrize("name", CHAOS)
def test_increments_through_a_bad_network_count_exactly_once(
    shared_server: ServerProcess, client: Client, name: str
) -> None:
    with ChaosProxy(shared_server.endpoint, CHAOS[name], SEED) as proxy:
        with Client(proxy.endpoint, **PATIENT) as through:
            values = [through.increment("n").value for _ in range(150)]
        assert proxy.met["pass"] > 0
        if name != "all":
            assert proxy.met[name] > 0
    assert values == list(range(1, 151))
    assert client.get("n") == 150


def test_many_threads_through_a_bad_network(shared_server: ServerProcess, client: Client) -> None:
    with ChaosProxy(shared_server.endpoint, CHAOS["all"], SEED) as proxy:
        with Client(proxy.endpoint, **PATIENT) as through:

            def work() -> None:
                for _ in range(40):
                    through.increment("n")

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert client.get("n") == 320


def test_many_tasks_through_a_bad_network(shared_server: ServerProcess, client: Client) -> None:
    async def work(endpoint: str) -> None:
        async with aio.Client(endpoint, **PATIENT) as through:
            for _ in range(5):
                await asyncio.gather(*(through.increment("n") for _ in range(60)))

    with ChaosProxy(shared_server.endpoint, CHAOS["all"], SEED) as proxy:
        asyncio.run(work(proxy.endpoint))
    assert client.get("n") == 300


def test_pipelines_through_a_bad_network(shared_server: ServerProcess, client: Client) -> None:
    with ChaosProxy(shared_server.endpoint, CHAOS["all"], SEED) as proxy:
        with Client(proxy.endpoint, **PATIENT) as through:
            for _ in range(20):
                with through.pipeline() as pipeline:
                    pending = [pipeline.increment("n") for _ in range(50)]
                first = pending[0].result().value
                assert [one.result().value for one in pending] == list(range(first, first + 50))
    assert client.get("n") == 1000


def test_no_call_is_longer_than_its_deadline_when_nothing_comes_through(
    shared_server: ServerProcess,
) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), SEED) as proxy:
        with Client(proxy.endpoint, timeout_ms=400) as through:
            through.with_options(timeout_ms=30_000).set("a", 1)
            proxy.is_stalled = True
            began = time.monotonic()
            with pytest.raises(errors.Timeout) as read:
                through.get("a")
            assert time.monotonic() - began < 0.4 + GRACE_SECONDS
            assert not read.value.maybe_applied
            with pytest.raises(errors.EntrepotError) as write:
                through.set("a", 2)
            assert time.monotonic() - began < 0.8 + 2 * GRACE_SECONDS
            assert write.value.code in ("timeout", "unreachable")
            proxy.is_stalled = False
            assert through.with_options(timeout_ms=30_000).get("a") == 1


def test_a_new_connection_serves_when_the_old_one_is_silent(
    shared_server: ServerProcess, client: Client
) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), SEED) as proxy:
        with Client(proxy.endpoint, timeout_ms=20_000, retries=39) as through:
            through.increment("n")
            # Messages are lost until one has been; the connection stays up.
            proxy.fates = Fates(drop=1.0)
            done = threading.Event()
            threading.Thread(target=lambda: (through.increment("n"), done.set())).start()
            while proxy.met["drop"] == 0:
                done.wait(0.001)
            proxy.fates = Fates()
            assert done.wait(20)
    assert client.get("n") == 2


def test_a_cut_connection_is_noticed_without_waiting_for_an_attempt_to_time_out(
    shared_server: ServerProcess, client: Client
) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), SEED) as proxy:
        with Client(proxy.endpoint, timeout_ms=60_000, retries=1) as through:
            through.increment("n")
            for _ in range(5):
                proxy.cut_all()
                began = time.monotonic()
                through.increment("n")
                assert time.monotonic() - began < 10
    assert client.get("n") == 6


def test_without_retries_a_cut_connection_is_an_error_and_nothing_is_sent_twice(
    shared_server: ServerProcess, client: Client
) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), SEED) as proxy:
        with Client(proxy.endpoint, retries=0) as through:
            through.increment("n")
            passed = proxy.met["pass"]
            proxy.fates = Fates(cut=1.0)
            with pytest.raises(errors.ConnectionLost) as lost:
                through.increment("n")
            assert lost.value.maybe_applied
            assert proxy.met["pass"] == passed
            assert proxy.met["cut"] == 1
            proxy.fates = Fates()
            assert through.increment("n").value == 2


def test_a_server_that_restarts_is_survived(server: ServerProcess) -> None:
    with Client(server.endpoint, timeout_ms=20_000, connect_wait_ms=20_000) as client:
        for round_number in range(3):
            client.set("a", round_number)
            assert client.increment("n").value == 1
            server.stop()
            server.start()
            assert client.get("a") is None


def test_writers_survive_a_server_that_is_killed_under_them(server: ServerProcess) -> None:
    written = []
    failures = []
    enough = threading.Event()

    def write() -> None:
        number = 0
        while not enough.is_set():
            try:
                client.set("a", number)
                written.append(number)
            except errors.EntrepotError as error:
                failures.append(error)
            number += 1

    with Client(server.endpoint, timeout_ms=20_000, connect_wait_ms=20_000) as client:
        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(3):
            target = len(written) + 20
            while len(written) < target and not failures:
                thread.join(0.001)
            server.kill()
            server.start()
        target = len(written) + 20
        while len(written) < target and not failures:
            thread.join(0.001)
        enough.set()
        thread.join()
        assert failures == []
        assert client.get("a") == written[-1]
