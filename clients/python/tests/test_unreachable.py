"""A server that is not there is told clearly and quickly."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest

from entrepot import Client, aio, errors
from server_process import ServerProcess


@pytest.fixture
def dead_endpoint() -> Iterator[str]:
    """A port that nobody listens at, and nobody else gets while the test runs."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{holder.getsockname()[1]}"


@pytest.fixture
def mute_endpoint() -> Iterator[str]:
    """A listener that accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_nothing_is_listening(dead_endpoint: str) -> None:
    with Client(dead_endpoint, timeout_ms=30_000) as client:
        began = time.monotonic()
        with pytest.raises(errors.Unreachable) as unreachable:
            client.set("a", 1)
        assert time.monotonic() - began < 5
    assert unreachable.value.message == f"Nothing is listening at {dead_endpoint}."
    assert not unreachable.value.maybe_applied
    assert isinstance(unreachable.value, ConnectionError)


def test_nothing_is_listening_without_any_patience(dead_endpoint: str) -> None:
    with Client(dead_endpoint, connect_wait_ms=0) as client:
        with pytest.raises(errors.Unreachable):
            client.ping()


def test_nothing_is_listening_on_a_path(tmp_path: Path) -> None:
    with Client(f"ipc://{tmp_path}/none") as client:
        with pytest.raises(errors.Unreachable, match="Nothing is listening at ipc://"):
            client.ping()


def test_asyncio_client_says_the_same(dead_endpoint: str) -> None:
    async def work() -> None:
        async with aio.Client(dead_endpoint) as client:
            with pytest.raises(errors.Unreachable, match="Nothing is listening"):
                await client.increment("n")

    asyncio.run(work())


def test_a_peer_that_does_not_speak_zeromq_is_told_at_the_deadline(mute_endpoint: str) -> None:
    with Client(mute_endpoint, timeout_ms=500) as client:
        began = time.monotonic()
        with pytest.raises(errors.Unreachable, match="No connection to"):
            client.ping()
        assert time.monotonic() - began < 3


def test_a_peer_that_answers_something_else_is_told() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(64)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
        with Client(endpoint, timeout_ms=1000) as client:
            # libzmq takes it for an old peer for a moment, so that something may have been sent.
            with pytest.raises(errors.EntrepotError, match="does not complete the ZeroMQ") as told:
                client.ping()
            assert told.value.code in ("unreachable", "timeout")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_comes_while_the_call_waits_is_used(server: ServerProcess) -> None:
    server.stop()
    with Client(server.endpoint, timeout_ms=30_000, connect_wait_ms=30_000) as client:
        results = []
        thread = threading.Thread(target=lambda: results.append(client.set("a", 1).status))
        thread.start()
        server.start()
        thread.join()
    assert results == ["created"]


def test_after_unreachable_the_client_works_when_the_server_is_back(server: ServerProcess) -> None:
    with Client(server.endpoint) as client:
        client.set("a", 1)
        server.stop()
        # Sent over a connection of which nobody knows yet that it is gone, it is never answered.
        with pytest.raises((errors.Unreachable, errors.Timeout)):
            client.get("a")
        with pytest.raises(errors.Unreachable):
            client.get("a")
        server.start()
        assert client.set("a", 2).status == "created"


@pytest.mark.parametrize(
    "server_name", ["", "localhost:5555", "tcp://", "tcp://host", "http://a:1", "tcp://a b:1"]
)
def test_an_endpoint_that_is_none_is_refused_at_once(
    server_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTREPOT_SERVER", server_name or "nonsense")
    with pytest.raises(errors.InvalidArgument):
        Client(server_name)


def test_the_environment_names_the_server(
    shared_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTREPOT_SERVER", shared_server.endpoint)
    with Client() as client:
        client.ping()
        assert client.server == shared_server.endpoint
    monkeypatch.delenv("ENTREPOT_SERVER")
    assert Client().server == "tcp://127.0.0.1:5555"


@pytest.mark.parametrize("options", [{"timeout_ms": 0}, {"timeout_ms": -1}, {"retries": -1}])
def test_senseless_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(errors.InvalidArgument):
        Client(**options)  # type: ignore[arg-type]
