"""Every kind of ZeroMQ peer that may speak to the server, also through proxies."""

from __future__ import annotations

import contextlib
import threading
from typing import Callable, Iterator, List

import msgpack
import pytest
import zmq

from harness.peer import Peer, request, responses
from harness.server import Server, start_server


@contextlib.contextmanager
def proxy(backend_endpoint: str) -> Iterator[str]:
    """zmq_proxy between a ROUTER, whose endpoint this gives, and a DEALER to the backend."""
    context = zmq.Context()
    frontend = context.socket(zmq.ROUTER)
    backend = context.socket(zmq.DEALER)
    for socket in (frontend, backend):
        socket.linger = 0
    port = frontend.bind_to_random_port("tcp://127.0.0.1")
    backend.connect(backend_endpoint)

    def run() -> None:
        try:
            zmq.proxy(frontend, backend)
        except zmq.ContextTerminated:
            frontend.close()
            backend.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        context.term()
        thread.join()


def check_dealer(endpoint: str) -> None:
    with Peer(endpoint) as peer:
        assert peer.exchange(request(7, "ping")) == [[1, 7, None, {"status": "ok"}]]
        assert peer.call("set", "dealer", 1)["status"] in ("created", "updated")


def check_dealer_with_empty_frame(endpoint: str) -> None:
    with Peer(endpoint) as peer:
        assert peer.exchange(request(7, "ping"), [b""]) == [[1, 7, None, {"status": "ok"}]]


def check_req(endpoint: str) -> None:
    with Peer(endpoint, zmq.REQ) as peer:
        for value in range(20):
            assert "version" in peer.call("set", "req", value)
            assert peer.call("get", "req")["value"] == value


def check_correlated_relaxed_req(endpoint: str) -> None:
    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.linger = 0
    socket.setsockopt(zmq.REQ_CORRELATE, 1)
    socket.setsockopt(zmq.REQ_RELAXED, 1)
    socket.connect(endpoint)
    with contextlib.closing(socket):
        # A relaxed REQ may give up on a reply; correlation drops the reply that comes late.
        for msgid in range(50):
            socket.send(request(msgid, "ping"))
        socket.send(request(1000, "ping"))
        assert socket.poll(30_000)
        assert responses(socket.recv())[0][:2] == [1, 1000]
        assert not socket.poll(0)


def check_router(endpoint: str) -> None:
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.linger = 0
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.CONNECT_ROUTING_ID, b"the server")
    socket.connect(endpoint)
    with contextlib.closing(socket):
        socket.send_multipart([b"the server", b"an envelope", request(7, "ping")])
        assert socket.poll(30_000)
        frames = socket.recv_multipart()
        assert frames[:2] == [b"the server", b"an envelope"]
        assert responses(frames[2]) == [[1, 7, None, {"status": "ok"}]]


PEERS: List[Callable[[str], None]] = [check_dealer, check_dealer_with_empty_frame, check_req,
                                      check_correlated_relaxed_req, check_router]


@pytest.mark.parametrize("check", PEERS, ids=[check.__name__[6:] for check in PEERS])
def test_peer(server: Server, check: Callable[[str], None]) -> None:
    check(server.endpoint)


@pytest.mark.parametrize("check", PEERS, ids=[check.__name__[6:] for check in PEERS])
def test_peer_behind_a_proxy(server: Server, check: Callable[[str], None]) -> None:
    with proxy(server.endpoint) as endpoint:
        check(endpoint)


def test_peers_behind_two_proxies(server: Server) -> None:
    with proxy(server.endpoint) as inner, proxy(inner) as outer:
        for check in PEERS:
            check(outer)


def test_peers_behind_one_proxy_do_not_mix_up_replies(server: Server) -> None:
    with proxy(server.endpoint) as endpoint:
        peers = [Peer(endpoint) for _ in range(20)]
        for round_number in range(20):
            for number, peer in enumerate(peers):
                peer.send(request(number, "increment", f"of {number}", 1))
            for number, peer in enumerate(peers):
                _, msgid, error, result = responses(peer.receive()[-1])[0]
                assert (msgid, error, result["value"]) == (number, None, round_number + 1)
        for peer in peers:
            peer.close()


def test_two_requests_of_a_peer_take_effect_in_order(server: Server) -> None:
    # Without waiting for the replies, with bodies small and large in turn, so that some of them
    # run where they arrive and others on a worker.
    with Peer(server.endpoint) as peer:
        expected = b""
        for number in range(200):
            piece = bytes([number]) * (100_000 if number % 20 == 7 else 3)
            expected += piece
            peer.send(request(number, "append", "log", piece))
        lengths = {}
        for _ in range(200):
            _, msgid, error, result = responses(peer.receive()[-1])[0]
            assert error is None
            lengths[msgid] = result["length"]
        assert list(lengths[number] for number in range(200)) == sorted(lengths.values())
        assert peer.call("get", "log")["value"] == expected


def test_a_body_sees_its_own_writes_while_others_write(server: Server) -> None:
    with Peer(server.endpoint) as one, Peer(server.endpoint) as other:
        for number in range(50):
            for peer, key in ((one, "one"), (other, "other")):
                peer.send(request(1, "set", key, number) + request(2, "get", key))
            for peer in (one, other):
                _, read = responses(peer.receive()[-1])
                assert read[3]["value"] == number


def test_several_listeners_serve_one_store() -> None:
    listen = ["tcp://127.0.0.1:0", "ipc://{folder}/a", "ipc://{folder}/b", "tcp://127.0.0.1:0"]
    with start_server(listen=listen) as server:
        assert len(server.endpoints) == 4 and len(set(server.endpoints)) == 4
        for number, endpoint in enumerate(server.endpoints):
            with Peer(endpoint) as peer:
                assert peer.call("increment", "shared", 1)["value"] == number + 1
                assert peer.call("hello")["endpoints"]["listen"] == server.endpoints


def test_many_connections_at_once(server: Server) -> None:
    peers = [Peer(server.endpoint) for _ in range(500)]
    for number, peer in enumerate(peers):
        peer.send(request(number, "set", f"of {number}", number))
    for number, peer in enumerate(peers):
        assert responses(peer.receive()[-1])[0][1] == number
    for peer in peers:
        peer.close()
    with Peer(server.endpoint) as peer:
        assert peer.call_when_ready("count", {"key_prefix": "of "})["count"] == 500


def test_values_of_other_msgpack_libraries_come_back_unchanged(server: Server) -> None:
    timestamp = msgpack.Timestamp(1_700_000_000, 5)
    with Peer(server.endpoint) as peer:
        peer.call("set", "when", timestamp)
        assert peer.call("get", "when")["value"] == timestamp
        peer.call("set", "ext", msgpack.ExtType(42, b"x" * 300))
        assert peer.call("get", "ext")["value"] == msgpack.ExtType(42, b"x" * 300)
