"""Bad input costs a clear error: nothing that a peer sends stops the server or makes it grow.

The shapes of malformed requests are data, in tests/vectors/malformed.json. Here is what data cannot
say: size, number, time, and what happens to the others meanwhile.
"""

from __future__ import annotations

import os
import pathlib
import random
import socket as sockets
import struct
from typing import List, Optional

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from bystander import Bystander
from harness.peer import Peer, request, responses
from harness.server import Server, start_server, wait_until

MIB = 2**20
# A sanitizer's shadow memory and quarantine are no growth of the server.
ALLOWANCE = 8 if os.environ.get("ENTREPOT_SANITIZER") else 1


def error_of(peer: Peer, body: bytes) -> dict:
    """The error of the only response to `body`."""
    answers = peer.exchange(body)
    assert len(answers) == 1 and answers[0][3] is None, answers
    return dict(answers[0][2])


class Refused:
    """Sends one message on a connection of its own and tells how the server refused it."""

    def __init__(self, endpoint: str):
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)

    def outcome(self, frames: List[bytes]) -> str:
        """"closed", or the code of the error; TimeoutError when neither comes."""
        self._socket.send_multipart(frames)
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        ready = dict(poller.poll(30_000))
        if self._socket in ready:
            answer = responses(self._socket.recv_multipart()[-1])[0]
            assert answer[1] == 0
            return str(answer[2]["code"])
        if self._monitor in ready:
            assert recv_monitor_message(self._monitor)["event"] == zmq.EVENT_DISCONNECTED
            return "closed"
        raise TimeoutError("the server neither answered nor closed the connection")

    def close(self) -> None:
        self._socket.disable_monitor()
        self._socket.close()


def refusal(server: Server, frames: List[bytes]) -> str:
    sender = Refused(server.endpoint)
    try:
        return sender.outcome(frames)
    finally:
        sender.close()


def test_ten_megabytes_of_junk(server: Server) -> None:
    generator = random.Random(20240607)
    with Peer(server.endpoint) as peer, Bystander(server.endpoint) as bystander:
        before = server.resident_bytes()
        for _ in range(10):
            junk = b"\xc1" + generator.getrandbits(8 * 10 * MIB).to_bytes(10 * MIB, "big")
            assert error_of(peer, junk)["code"] == "malformed"
        bystander.wait_for_answers(5)
        assert server.resident_bytes() - before < 64 * MIB * ALLOWANCE


def test_junk_of_every_first_byte(server: Server) -> None:
    generator = random.Random(7)
    with Peer(server.endpoint) as peer:
        for first in range(256):
            peer.send(bytes([first]) + generator.getrandbits(8 * 60).to_bytes(60, "big"))
            # Some of it may be whole requests; the last response is an error at any rate.
            answers = responses(peer.receive()[-1])
            assert answers and answers[-1][2] is not None, first


def test_random_changes_to_a_good_body(server: Server) -> None:
    generator = random.Random(11)
    good = b"".join([request(1, "set", "key", {"a": [1, 2.5, "x"]}, {"ttl_ms": 1000}),
                     request(2, "find", "prefix", {"limit": 10, "order": "desc"}),
                     request(3, "transact", {"if": [["key", "exists", "=", True]],
                                             "then": [["set", ["key", 1]]]})])
    with Peer(server.endpoint) as peer, Bystander(server.endpoint) as bystander:
        for _ in range(3000):
            body = bytearray(good)
            for _ in range(generator.randint(1, 4)):
                body[generator.randrange(len(body))] = generator.randrange(256)
            if generator.random() < 0.3:
                del body[generator.randrange(len(body)):]
            # A ping behind it in a body of its own: whatever the first one meets, this is answered.
            peer.send(bytes(body))
            peer.send(request(4_000_000_000, "ping"))
            seen: Optional[List[object]] = None
            while seen is None or seen[:2] != [1, 4_000_000_000]:
                seen = responses(peer.receive()[-1])[0]
        bystander.wait_for_answers(5)


def test_huge_lengths_cost_no_memory(server: Server) -> None:
    heads = [b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff",
             b"\xdf\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01"]
    with Peer(server.endpoint) as peer:
        before = server.resident_bytes()
        for head in heads:
            for body in (head, b"\x94\x00\x07\xa3set" + head, b"\x94\x00\x07" + head,
                         b"\x94\x00\x07\xa3set\x92\xa1k" + head):
                for _ in range(20):
                    assert error_of(peer, body)["code"] == "malformed"
        assert server.resident_bytes() - before < 16 * MIB * ALLOWANCE


def test_nesting_costs_no_stack(server: Server) -> None:
    with Peer(server.endpoint) as peer:
        for byte in (b"\x91", b"\x81", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"):
            for body in (byte * 1_000_000, b"\x94\x00\x07\xa3set\x92\xa1k" + byte * 1_000_000):
                assert error_of(peer, body)["code"] == "malformed"
        assert peer.call("ping") == {"status": "ok"}


@pytest.mark.parametrize("frames", [9, 10, 100, 5000])
def test_too_many_frames(server: Server, frames: int) -> None:
    with Bystander(server.endpoint) as bystander:
        before = server.resident_bytes()
        for _ in range(5):
            assert refusal(server, [b"x"] * (frames - 1) + [request(1, "set", "framed", 1)]) in (
                "too_large", "closed")
        bystander.wait_for_answers(5)
        assert server.resident_bytes() - before < 32 * MIB * ALLOWANCE
    with Peer(server.endpoint) as peer:
        assert peer.call("get", "framed")["status"] == "not_found"


def test_a_body_over_its_limit() -> None:
    with start_server(["--max-body-bytes", str(MIB), "--max-value-bytes", str(MIB // 2)]) as server:
        fits = request(1, "set", "fits", b"x" * (MIB // 2 - 5))
        over = [request(1, "set", f"over {number}", b"x" * (MIB // 4)) for number in range(5)]
        with Bystander(server.endpoint) as bystander:
            before = server.resident_bytes()
            for _ in range(20):
                assert refusal(server, [b"".join(over)]) in ("too_large", "closed")
            bystander.wait_for_answers(5)
            assert server.resident_bytes() - before < 64 * MIB * ALLOWANCE
        with Peer(server.endpoint) as peer:
            assert peer.exchange(fits)[0][2] is None
            assert peer.call_when_ready("count", {"key_prefix": "over"})["count"] == 0


def test_a_value_over_its_limit(server: Server) -> None:
    with Peer(server.endpoint) as peer, Bystander(server.endpoint):
        error = error_of(peer, request(1, "set", "large", b"x" * (17 * MIB)))
        assert error["code"] == "too_large" and str(16 * MIB) in error["message"]
        assert peer.call("set", "large", b"x" * (16 * MIB - 5))["status"] == "created"
        assert len(peer.call("get", "large")["value"]) == 16 * MIB - 5


def test_many_unknown_methods_and_options(server: Server) -> None:
    with Peer(server.endpoint) as peer, Bystander(server.endpoint) as bystander:
        before = server.resident_bytes()
        for number in range(300):
            body = request(1, f"method {number}" * 50) + request(2, "get", "k", {f"o{number}": 1})
            unknown, invalid = peer.exchange(body)
            assert unknown[2]["code"] == "unknown_method"
            assert invalid[2]["code"] == "invalid_argument"
            assert f"o{number}" in invalid[2]["message"]
        bystander.wait_for_answers(5)
        assert server.resident_bytes() - before < 16 * MIB * ALLOWANCE


def test_long_names_do_not_come_back_in_full(server: Server) -> None:
    # What a peer sends wrong is named, but not sent back in any length.
    with Peer(server.endpoint) as peer:
        for body in (request(1, "m" * MIB), request(1, "get", "k", {"o" * MIB: 1})):
            assert len(error_of(peer, body)["message"]) < 10_000


# ---- peers that go away, by hand: ZMTP 3.0 over a plain TCP connection (RFC 23) -----------------

GREETING = (b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" +
            bytes(31))
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
READY_COMMAND = b"\x04" + bytes([len(READY)]) + READY


def short_frame(content: bytes, more: bool = False) -> bytes:
    return bytes([1 if more else 0, len(content)]) + content


def connect_by_hand(server: Server) -> sockets.socket:
    """A TCP connection on which the handshake was sent, but nothing read."""
    host, port = server.endpoint.replace("tcp://", "").split(":")
    connection = sockets.create_connection((host, int(port)))
    connection.sendall(GREETING + READY_COMMAND)
    return connection


def open_files(server: Server) -> int:
    return len(list(pathlib.Path(f"/proc/{server.pid}/fd").iterdir()))


UNFINISHED = {
    "nothing": b"",
    "half a frame header": b"\x02\x00\x00",
    "half a frame": b"\x02" + struct.pack(">Q", 1_000_000) + b"x" * 1000,
    "an envelope without a body": short_frame(b"envelope", more=True),
    "half a request": short_frame(request(1, "set", "gone", 1)[:-1]),
    "a request": short_frame(request(1, "set", "gone", 1)),
    "a thousand requests": short_frame(request(1, "ping")) * 1000,
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_a_peer_gone_in_the_middle(server: Server, what: str) -> None:
    with Bystander(server.endpoint) as bystander:
        bystander.wait_for_answers(1)
        before_files, before_bytes = open_files(server), server.resident_bytes()
        for _ in range(100):
            connection = connect_by_hand(server)
            connection.sendall(UNFINISHED[what])
            connection.close()
        bystander.wait_for_answers(5)
        wait_until(lambda: open_files(server) <= before_files + 2,
                   "the connections of the peers that are gone are closed", 30)
        assert server.resident_bytes() - before_bytes < 32 * MIB * ALLOWANCE


@pytest.mark.parametrize("what", UNFINISHED)
def test_peers_that_stop_in_the_middle(server: Server, what: str) -> None:
    with Bystander(server.endpoint) as bystander:
        connections = [connect_by_hand(server) for _ in range(50)]
        for connection in connections:
            connection.sendall(UNFINISHED[what])
        bystander.wait_for_answers(20)
        for connection in connections:
            connection.close()


def test_bytes_that_are_no_zeromq(server: Server) -> None:
    host, port = server.endpoint.replace("tcp://", "").split(":")
    with Bystander(server.endpoint) as bystander:
        for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 64,
                     b"*1\r\n$4\r\nPING\r\n", b"\xff" * 64, GREETING[:30] + b"?" * 100,
                     GREETING + b"\x04\x05\x05HELLO"):
            for _ in range(10):
                connection = sockets.create_connection((host, int(port)))
                connection.sendall(text)
                connection.close()
        bystander.wait_for_answers(5)


# ---- a peer that does not read ------------------------------------------------------------------


def test_a_peer_that_never_reads(server: Server) -> None:
    # 600 replies of 900 KB wait for it; the server may keep a bounded part of them.
    with Peer(server.endpoint) as writer:
        writer.call_all([("set", f"part {number}", b"x" * 15_000) for number in range(60)])
        keys = [f"part {number}" for number in range(60)]
        reader = zmq.Context.instance().socket(zmq.DEALER)
        reader.linger = 0
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.setsockopt(zmq.RCVBUF, 65536)
        reader.connect(server.endpoint)
        with Bystander(server.endpoint) as bystander:
            before = server.resident_bytes()
            for msgid in range(600):
                reader.send(request(msgid, "get_many", keys))
            bystander.wait_for_answers(50)
            largest = max(server.resident_bytes() for _ in range(100))
            assert largest - before < 300 * MIB * ALLOWANCE
            # When it reads at last, it gets answers: values, or `overloaded` where none was run.
            seen = 0
            while reader.poll(2000):
                for answer in responses(reader.recv_multipart()[-1]):
                    seen += 1
                    assert answer[2] is None or answer[2]["code"] == "overloaded", answer[2]
            assert seen > 0
            bystander.wait_for_answers(5)
        reader.close()


def test_many_peers_that_never_read(server: Server) -> None:
    with Peer(server.endpoint) as writer:
        writer.call("set", "value", b"x" * 10_000)
    readers = [zmq.Context.instance().socket(zmq.DEALER) for _ in range(30)]
    with Bystander(server.endpoint) as bystander:
        before = server.resident_bytes()
        for reader in readers:
            reader.linger = 0
            reader.setsockopt(zmq.RCVHWM, 1)
            reader.connect(server.endpoint)
            for msgid in range(1000):
                reader.send(request(msgid, "get", "value"))
        bystander.wait_for_answers(50)
        assert server.resident_bytes() - before < 400 * MIB * ALLOWANCE
        for reader in readers:
            reader.close()
        bystander.wait_for_answers(5)
