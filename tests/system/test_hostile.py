"""Peers that break the rules of ZMTP, or follow them to hurt: each costs itself, and nobody else.

Each test is one way to misbehave, with the reason why it could hurt a server. While it goes on,
good clients are served as before (harness/latency.py says how that is held), the server's memory
stays in the bound that the test states, and the case is counted in `stats` under its own name.

All of it is promised by the native transport. libzmq holds only a part of it: tests of what it
holds run on both. ENTREPOT_TRANSPORTS=zmq runs all of them there and shows the rest; libzmq counts
none of these cases.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
import time
from typing import Callable, Iterator, List, Optional

import pytest

from harness import latency
from harness.hostile import (COMMAND, MORE, RawPeer, command, frame, greeting, ping, ready)
from harness.peer import Peer, request, responses
from harness.server import Server, start_server, wait_until

pytestmark = pytest.mark.alone

MIB = 2**20
# A sanitizer's shadow memory and quarantine are no growth of the server.
ALLOWANCE = 8 if os.environ.get("ENTREPOT_SANITIZER") else 1
# What a busy server may take more than an idle one: buffers of a turn, pages of its allocator.
GROWTH_MAX = 16 * MIB
# Between two steps of a hostile peer: it shares its processor with the server that it attacks.
STEP_PAUSE_S = 0.001
WAIT_S = 60.0
# A median out of its bound is taken again: other programs use this machine, and they stop.
ATTEMPTS = 3
LINES_A_SECOND = 10
BODY_BYTES_MAX = 64 * MIB
INPUT_IN_ALL = OUTPUT_IN_ALL = 256 * MIB

QUICK = bool(os.environ.get("ENTREPOT_QUICK"))
CHOSEN = os.environ.get("ENTREPOT_TRANSPORTS")


@pytest.fixture(params=CHOSEN.split(",") if CHOSEN else ["native"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if QUICK and request.param == "native":
        pytest.skip("the quick run is on the default transport only")
    monkeypatch.setenv("ENTREPOT_TRANSPORT", request.param)
    return str(request.param)


# What libzmq holds too, as far as it can be seen from outside.
on_both = pytest.mark.parametrize("transport", CHOSEN.split(",") if CHOSEN else ["zmq", "native"],
                                  indirect=True)


class Siege:
    """A server, its good clients, and what both felt since the siege began."""

    def __init__(self, server: Server, clients: latency.GoodClients, transport: str):
        self.server = server
        self.endpoint = server.endpoint
        self.clients = clients
        self._counts = transport == "native"
        self._before = self.stats()
        self._resident_before = server.resident_bytes()

    def stats(self) -> dict:
        with Peer(self.endpoint) as peer:
            return peer.call("stats")

    def wait_counted(self, name: str, at_least: int = 1) -> None:
        """Waits until the case was counted that often under its name."""
        if self._counts:
            key = f"zmtp_{name}"
            wait_until(lambda: self.stats()[key] - self._before[key] >= at_least,
                       f"{key} counts {at_least}", WAIT_S)

    def endure(self, step: Optional[Callable[[], object]] = None,
               growth_max: int = GROWTH_MAX) -> None:
        """Holds what good clients feel while `step` is done over and over against without.

        Without a step, the peers of the test just stay as they are; the calm rounds were taken
        before they came.
        """
        for attempt in range(ATTEMPTS):
            calm = self.clients.rounds() if step is not None else self._calm
            with repeating(step) if step is not None else contextlib.nullcontext():
                attacked = self.clients.rounds()
                self.check_memory(growth_max)
            try:
                latency.assert_not_slower(calm, attacked)
                return
            except AssertionError:
                if attempt == ATTEMPTS - 1:
                    raise

    def note_calm(self) -> None:
        """Takes the rounds that endure() without a step is held against."""
        self._calm = self.clients.rounds()

    def check_memory(self, growth_max: int = GROWTH_MAX) -> None:
        growth = self.server.resident_bytes() - self._resident_before
        assert growth <= growth_max * ALLOWANCE, f"{growth} bytes more, bound {growth_max}"

    def peer(self, **options: int) -> RawPeer:
        """A connection on which the handshake is done."""
        peer = RawPeer(self.endpoint, **options)
        peer.shake_hands()
        return peer


@contextlib.contextmanager
def repeating(step: Callable[[], object]) -> Iterator[None]:
    """Does the step over and over in a thread, at least once; raises here what it raised there."""
    stop = threading.Event()
    once = threading.Event()
    failures: List[BaseException] = []

    def run() -> None:
        try:
            while not stop.is_set():
                step()
                once.set()
                stop.wait(STEP_PAUSE_S)
        except BaseException as failure:  # Raised again below, in the test's thread.
            failures.append(failure)
            once.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert once.wait(WAIT_S), "the hostile peer did not come through its first step"
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


@pytest.fixture(params=[1])
def siege(request: pytest.FixtureRequest, transport: str) -> Iterator[Siege]:
    """A server with as many io threads as the parameter says; it must end well."""
    with start_server(["--io-threads", str(request.param)]) as server:
        with latency.GoodClients(server.endpoint) as clients:
            yield Siege(server, clients, transport)
        assert server.is_running(), server.log()
        assert server.stop() == 0, server.log()


# Memory that is bounded over all io threads together is tried with two of them.
two_io_threads = pytest.mark.parametrize("siege", [2], indirect=True)


def closed_for(siege: Siege, data: bytes, event: str) -> None:
    """Peers that send `data` behind the handshake are closed, each of them, and counted."""

    def step() -> None:
        with siege.peer() as peer:
            peer.try_send(data)
            peer.wait_closed()

    siege.endure(step)
    siege.wait_counted(event)


def refused_for(siege: Siege, data: bytes, event: str) -> bytes:
    """The same for peers that begin with `data`; gives back what the server said to the last."""
    answers: List[bytes] = []

    def step() -> None:
        with RawPeer(siege.endpoint) as peer:
            peer.try_send(data)
            answers.append(peer.wait_closed())

    siege.endure(step)
    siege.wait_counted(event)
    return answers[-1]


# ---- before and in the handshake ----------------------------------------------------------------


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["http", "tls"])
def test_another_protocol(siege: Siege, text: bytes) -> None:
    """Scanners and misled browsers come to every port; they must not wait for a timeout."""
    refused_for(siege, text, "not_zmtp")


def test_an_older_zmtp(siege: Siege) -> None:
    """ZMTP 2.0 is told by its major version, not taken for noise."""
    refused_for(siege, greeting(major=1), "older_peer")


def test_a_security_mechanism(siege: Siege) -> None:
    """A peer that wants PLAIN must not send its password to who does not ask for it."""
    said = refused_for(siege, greeting(b"PLAIN"), "mechanism")
    assert b"\x05ERROR" in said


def test_a_socket_type_that_cannot_talk_here(siege: Siege) -> None:
    """A SUB would never send and never understand an answer: it would hold its place for ever."""
    said = refused_for(siege, greeting() + ready(b"SUB"), "socket_type")
    assert b"\x05ERROR" in said


def test_an_identity_of_a_megabyte(siege: Siege) -> None:
    """An identity is announced before anything is known of the peer, and would be kept."""
    refused_for(siege, greeting() + ready(identity=b"i" * MIB), "handshake_too_large")


def test_something_else_than_ready(siege: Siege) -> None:
    """Requests in front of the handshake do not run."""
    data = greeting() + frame(request(1, "set", "early", 1))
    refused_for(siege, data, "handshake_malformed")
    with Peer(siege.endpoint) as peer:
        assert peer.call("get", "early")["status"] == "not_found"


def test_reserved_and_stolen_identities(siege: Siege) -> None:
    """Routed by identity, a second peer of the same name would get the first one's answers."""
    with contextlib.ExitStack() as stack:
        siege.note_calm()
        peers = []
        for identity in (b"\0reserved", b"the same", b"the same", b"the same"):
            peer = stack.enter_context(RawPeer(siege.endpoint))
            peer.shake_hands(identity=identity)
            peers.append(peer)
        for number, peer in enumerate(peers):
            peer.send(frame(request(number, "ping")))
        for number, peer in enumerate(peers):
            answer, = responses(peer.receive_message()[-1])
            assert answer == [1, number, None, {"status": "ok"}]
        siege.endure()
    siege.wait_counted("identities_ignored", 4)


SILENT_PEERS = 100
# Nothing at all, half a greeting, all of it, half of READY.
SILENCES = (b"", greeting()[:32], greeting(), greeting() + ready()[:10])


def test_silence_in_the_handshake(siege: Siege) -> None:
    """Each would hold a descriptor for ever, and they are cheap to make."""
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        peers = []
        for said in SILENCES:
            for _ in range(SILENT_PEERS):
                peers.append(stack.enter_context(RawPeer(siege.endpoint)))
                peers[-1].send(said)
        siege.endure()
        for peer in peers:
            peer.wait_closed()
    siege.wait_counted("handshake_timeout", len(peers))


def test_a_handshake_byte_by_byte(siege: Siege) -> None:
    """Each byte is a sign of life; the handshake has its time as a whole nevertheless."""
    # At 20 bytes a second it would take longer than the test waits.
    script = greeting() + command(b"READY", b"\0" * 1500)
    with contextlib.ExitStack() as stack:
        siege.note_calm()
        peers = [stack.enter_context(RawPeer(siege.endpoint)) for _ in range(20)]
        sent = 0

        def drip() -> None:
            nonlocal sent
            for peer in peers:
                peer.try_send(script[sent:sent + 1])
            sent += 1
            stopped.wait(0.05)

        stopped = threading.Event()
        with repeating(drip):
            siege.endure()
            wait_until(lambda: all(peer.is_closed() for peer in peers),
                       "all that drip are closed", WAIT_S)
            stopped.set()
    siege.wait_counted("handshake_timeout", len(peers))


@on_both
def test_a_flood_of_connections(siege: Siege) -> None:
    """Accepting is work for the server, and each leaves things to be cleared away."""

    def step() -> None:
        for _ in range(20):
            RawPeer(siege.endpoint).close()

    siege.endure(step)
    siege.wait_counted("connections_accepted", 20)
    siege.wait_counted("peer_closed", 20)


def test_no_descriptor_left(siege: Siege) -> None:
    """Out of descriptors, a listener that cannot accept would be asked again without end."""
    siege.note_calm()
    files = len(os.listdir(f"/proc/{siege.server.pid}/fd"))
    before = resource.prlimit(siege.server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(siege.server.pid, resource.RLIMIT_NOFILE, (files + 20, before[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(RawPeer(siege.endpoint))
        siege.endure()
    resource.prlimit(siege.server.pid, resource.RLIMIT_NOFILE, before)
    siege.wait_counted("descriptors", 30)


# ---- frames -------------------------------------------------------------------------------------


def test_a_message_without_end(siege: Siege) -> None:
    """A message is kept until its last frame; frames of no bytes escape a bound in bytes."""
    closed_for(siege, frame(b"", MORE) * 10_000, "too_many_frames")


@on_both
def test_a_frame_of_2_to_the_63(siege: Siege) -> None:
    """Added to anything, such a size overflows."""
    closed_for(siege, frame(b"", size=2**63), "frame_malformed")


@on_both
def test_a_body_announced_over_its_limit(siege: Siege) -> None:
    """It must be refused by its header, before any of it is taken."""
    closed_for(siege, frame(b"x" * 100, size=BODY_BYTES_MAX + 1), "body_too_large")


def test_an_envelope_of_a_megabyte(siege: Siege) -> None:
    """Envelopes are sent back: this is memory twice."""
    closed_for(siege, frame(b"e" * MIB, MORE), "envelope_too_large")


def test_junk_after_ready(siege: Siege) -> None:
    """Reserved flags: there is no telling where the next frame would begin."""
    closed_for(siege, b"\xf8\x55\xaa" * 1000, "frame_malformed")


@on_both
def test_many_tiny_messages(siege: Siege) -> None:
    """A hundred thousand messages arrive in a few reads; each is work, and others wait for it."""
    with siege.peer() as peer:
        tiny = frame(request(1, "ping")) * 100

        def step() -> None:
            peer.send(tiny)
            for _ in range(100):
                peer.receive_message()

        siege.endure(step)
    siege.wait_counted("messages_received", 100)


# ---- commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data, event", [
    (command(b"PING", b"\0"), "command_malformed"),
    (ping(b"c" * 17), "command_malformed"),
    (frame(b"\x00", COMMAND), "command_malformed"),
    (ready(), "command_unexpected"),
    (command(b"ERROR", b"\x02no"), "command_unexpected"),
    (frame(b"\x04PING\0\0", COMMAND | MORE), "frame_malformed"),
    (command(b"X", b"x" * MIB), "command_too_large"),
], ids=["short_ping", "long_ping", "no_name", "ready_again", "error", "more", "a_megabyte"])
def test_an_odd_command(siege: Siege, data: bytes, event: str) -> None:
    """What is not as RFC 37 says closes the connection; guessing would let two sides disagree."""
    closed_for(siege, data, event)


def test_commands_nobody_knows(siege: Siege) -> None:
    """RFC 37 lets later versions add commands: they are passed over, at no growing cost."""
    with siege.peer() as peer:

        def step() -> None:
            peer.send(command(b"LATER", b"x" * 100) * 100 + frame(request(7, "ping")))
            assert responses(peer.receive_message()[-1]) == [[1, 7, None, {"status": "ok"}]]

        siege.endure(step)
    siege.wait_counted("unknown_commands", 100)


def test_subscriptions_without_end(siege: Siege) -> None:
    """Here nothing is published: what was remembered of them would never be used."""
    with siege.peer() as peer:
        number = 0

        def step() -> None:
            nonlocal number
            for _ in range(100):
                number += 1
                peer.send(command(b"SUBSCRIBE", b"prefix %d" % number))

        siege.endure(step)
        peer.send(frame(request(7, "ping")))
        assert responses(peer.receive_message()[-1]) == [[1, 7, None, {"status": "ok"}]]
    siege.wait_counted("unknown_commands", 100)


def test_a_flood_of_pings_whose_answers_nobody_reads(siege: Siege) -> None:
    """Each PING makes a PONG, without any request: output that no bound on requests holds."""
    with siege.peer(receive_buffer_bytes=4096) as peer:
        pings = ping(b"c" * 16) * 1000
        # What a connection takes in part must be gone on with where it stopped.
        rest = b""

        def step() -> None:
            nonlocal rest
            rest = rest or pings
            rest = rest[peer.send_some(rest):]

        with repeating(step):
            siege.wait_counted("reading_paused")
        siege.endure(step)
    siege.wait_counted("pings", 1000)


def test_silence_after_an_announced_ttl(siege: Siege) -> None:
    """Who asks to be found dead after a tenth of a second is, and holds nothing any more."""

    def step() -> None:
        with siege.peer() as peer:
            peer.send(ping(ttl_tenths=1))
            peer.wait_closed()

    siege.endure(step)
    siege.wait_counted("ttl_expired")


# ---- readers and writers ------------------------------------------------------------------------


def test_readers_that_never_read(siege: Siege) -> None:
    """Answers wait for them in the server, for as long as they ask for more."""
    with Peer(siege.endpoint) as writer:
        writer.call("set", "value", b"x" * 10_000)
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(siege.peer(receive_buffer_bytes=4096)) for _ in range(20)]
        bodies = frame(request(1, "get", "value")) * 1000
        rests = [bodies * 5 for _ in peers]

        def step() -> None:
            for index, peer in enumerate(peers):
                rests[index] = rests[index][peer.send_some(rests[index]):]

        with repeating(step):
            siege.wait_counted("reading_paused", len(peers))
            # 1 MiB each waits, and what one turn of each had answered already.
            siege.endure(growth_max=20 * 2 * MIB + GROWTH_MAX)


@two_io_threads
def test_large_answers_that_nobody_reads(siege: Siege) -> None:
    """Each stays within its own bound; all of them together would not."""
    with Peer(siege.endpoint) as writer:
        for number in range(8):
            writer.call("set", f"large {number}", b"x" * (4 * MIB - 100))
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        body = b"".join(request(number, "get", f"large {number}") for number in range(8))
        peers = []
        for _ in range(40):
            peer = stack.enter_context(siege.peer(receive_buffer_bytes=4096))
            peer.try_send(frame(body))
            peers.append(peer)
        siege.wait_counted("output_in_all")
        siege.endure(growth_max=OUTPUT_IN_ALL + GROWTH_MAX)


@two_io_threads
@pytest.mark.parametrize("count, announced, sent", [
    (10, BODY_BYTES_MAX - 1, BODY_BYTES_MAX - MIB),
    (400, 2 * MIB, MIB),
], ids=["large", "many halves"])
def test_unfinished_bodies_over_all_memory(siege: Siege, count: int, announced: int,
                                           sent: int) -> None:
    """Each is within its limit; all of them together would be half a gigabyte."""
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(siege.peer()) for _ in range(count)]
        piece = b"x" * MIB
        for peer in peers:
            peer.send(frame(b"", size=announced))
        left = {peer: sent for peer in peers}

        def step() -> None:
            for peer in [peer for peer in peers if left[peer] > 0]:
                try:
                    left[peer] -= peer.send_some(piece[:left[peer]])
                except (BrokenPipeError, ConnectionResetError):
                    left[peer] = 0  # It was closed: it held most.
            siege.check_memory(INPUT_IN_ALL + GROWTH_MAX)

        with repeating(step):
            siege.wait_counted("input_in_all")
            siege.endure(growth_max=INPUT_IN_ALL + GROWTH_MAX)


def test_bodies_announced_and_not_sent(siege: Siege) -> None:
    """Twelve gigabytes are announced: room is made for what has come, not for what is said."""
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(siege.peer()) for _ in range(200)]
        for peer in peers:
            peer.send(frame(b"x" * 1000, size=BODY_BYTES_MAX - 1))
        siege.endure()
    siege.wait_counted("died_in_message", len(peers))


@on_both
def test_writers_of_a_byte_at_a_time(siege: Siege) -> None:
    """They are slow, not silent, so they stay; each byte must cost no more than a byte's work."""
    message = frame(request(7, "set", "slow", b"x" * 10_000))
    with contextlib.ExitStack() as stack:
        siege.note_calm()
        peers = [stack.enter_context(siege.peer()) for _ in range(50)]
        sent = 0

        def step() -> None:
            nonlocal sent
            for peer in peers:
                peer.send(message[sent:sent + 1])
            sent += 1

        with repeating(step):
            siege.endure()
        for peer in peers:
            peer.send(message[sent:])
            answer, = responses(peer.receive_message()[-1])
            assert answer[2] is None and answer[3]["status"] in ("created", "updated")
    siege.wait_counted("messages_received", len(peers))


@on_both
def test_death_in_mid_message(siege: Siege) -> None:
    """What had come must not run, and its memory must come back."""

    def step() -> None:
        with siege.peer() as peer:
            peer.send(frame(request(1, "set", "dead", b"x" * MIB))[:MIB // 2])

    siege.endure(step)
    siege.wait_counted("died_in_message")
    with Peer(siege.endpoint) as peer:
        assert peer.call("get", "dead")["status"] == "not_found"


@on_both
def test_a_reset_with_answers_under_way(siege: Siege) -> None:
    """The server writes to a connection that is gone: an error of this connection, no signal."""

    def step() -> None:
        with siege.peer() as peer:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.send(frame(request(1, "stats")) * 50)

    siege.endure(step)
    siege.wait_counted("socket_failed")


def test_a_half_closed_peer_gets_its_answers(siege: Siege) -> None:
    """The end of what a peer says is not the end of what it wants to hear."""

    def step() -> None:
        with siege.peer() as peer:
            peer.send(frame(request(7, "ping")) * 50)
            peer.socket.shutdown(socket.SHUT_WR)
            for _ in range(50):
                assert responses(peer.receive_message()[-1]) == [[1, 7, None, {"status": "ok"}]]
            assert peer.wait_closed() == b""

    siege.endure(step)
    siege.wait_counted("peer_closed")


IDLE_PEERS = 10_000
IDLE_BYTES_MAX = 16 * 1024


def test_ten_thousand_idle_connections(siege: Siege) -> None:
    """Doing nothing must cost nothing but a little memory: no timer, no list that is walked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE_PEERS + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"SKIPPED LOUDLY: {needed} open files are needed, this machine allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    siege.note_calm()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_PEERS):
            stack.enter_context(siege.peer())
        siege.endure(growth_max=IDLE_PEERS * IDLE_BYTES_MAX)
        siege.wait_counted("connections_opened", IDLE_PEERS)


# ---- the log ------------------------------------------------------------------------------------


def test_refusals_do_not_flood_the_log(siege: Siege) -> None:
    """A peer that can write lines into the log can fill the disk, or hide among them."""
    lines_before = len(siege.server.log().splitlines())

    def step() -> None:
        for _ in range(20):
            with RawPeer(siege.endpoint) as peer:
                peer.try_send(b"GET / HTTP/1.1\r\n\r\n")
                peer.wait_closed()

    began = time.monotonic()
    with repeating(step):
        siege.wait_counted("not_zmtp", 300)
    # The first and the last second are begun ones.
    seconds = time.monotonic() - began + 2
    lines = siege.server.log().splitlines()[lines_before:]
    assert any("not_zmtp" in line for line in lines), lines
    assert len(lines) <= LINES_A_SECOND * seconds
