"""Runs one case of the vectors against a server, with raw sockets.

The runner knows nothing of the methods: it sends the bytes that a step describes and matches what
comes back. After every case it asks each of its peers for a ping, so that a response, or an event,
that nobody expected is found.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Dict, List

import zmq

from connection import Connection
from harness import feed_patterns
from harness import vectors
from harness import wire
from harness.server import Server
from harness.subscriber import HEARTBEAT, RECEIVE_TIMEOUT_MS

UNTIL_TIMEOUT_S = 20.0

_case_numbers = itertools.count(1)


class CaseRunner:
    """One case, run once. The peers that its steps name are connections of their own."""

    def __init__(self, server: Server, case: vectors.Case):
        self._server = server
        self._case = case
        self._scope = vectors.Scope(f"case{next(_case_numbers)}/")
        self._peers: Dict[str, Connection] = {}
        self._subscribers: Dict[str, "zmq.Socket[bytes]"] = {}

    def run(self) -> None:
        """Runs all steps; Mismatch or TimeoutError names the step that failed."""
        try:
            for number, step in enumerate(self._case.steps):
                try:
                    self._run_step(step)
                except (vectors.Mismatch, TimeoutError) as reason:
                    raise AssertionError(
                        f"{self._case.title}, step {number} {step}\n{reason}\n"
                        f"cites: {step.get('cites', self._case.cites)}") from reason
            for peer in self._peers.values():
                peer.expect_only_a_ping()
        finally:
            for peer in self._peers.values():
                peer.close()
            for subscriber in self._subscribers.values():
                subscriber.close(linger=0)

    def _run_step(self, step: Dict[str, Any]) -> None:
        deadline = time.monotonic() + UNTIL_TIMEOUT_S
        while vectors.is_request(step):
            try:
                self._exchange(step)
                break
            except vectors.Mismatch:
                if not step.get("until") or time.monotonic() > deadline:
                    raise
        if "told" in step:
            self._expect_told(step)
        if "subscribe" in step:
            self._subscribe(step)
        for publication in step.get("published", []):
            self._expect_published(step["peer"], publication)

    def _peer(self, step: Dict[str, Any]) -> Connection:
        name = step.get("peer", "a")
        if name not in self._peers:
            self._peers[name] = Connection(self._server.endpoint)
        return self._peers[name]

    @staticmethod
    def _envelope(step: Dict[str, Any]) -> List[bytes]:
        return [bytes.fromhex(frame) for frame in step.get("envelope", [])]

    # ---- requests -------------------------------------------------------------------------------

    def _exchange(self, step: Dict[str, Any]) -> None:
        peer, envelope = self._peer(step), self._envelope(step)
        body, msgids = vectors.step_body(self._scope, step)
        peer.send(body, envelope)
        if not step["expect"]:
            peer.expect_only_a_ping()
            return
        reply = peer.response(envelope)
        while self._is_building(reply):
            peer.send(body, envelope)
            reply = peer.response(envelope)
        if step.get("walk"):
            reply = self._walk(peer, step, reply)
        vectors.match_responses(self._scope, step["expect"], msgids, reply)

    @staticmethod
    def _is_building(reply: bytes) -> bool:
        """Whether the only response asks to come again while an index is built."""
        items = wire.decode_all(reply)
        error = items[0].value[2]
        return len(items) == 1 and error.kind == "map" and error.field("retry_after_ms") is not None

    def _walk(self, peer: Connection, step: Dict[str, Any], first: bytes) -> bytes:
        """Asks for the pages behind the first one; all of them as one reply."""
        bodies = [first]
        while True:
            result = wire.decode_all(bodies[-1])[0].value[3]
            cursor = result.field("cursor") if result.kind == "map" else None
            if cursor is None:
                break
            body, _ = vectors.step_body(self._scope, vectors.next_page(step, cursor))
            peer.send(body, [])
            bodies.append(peer.response([]))
        return vectors.join_pages(bodies) if len(bodies) > 1 else first

    # ---- what comes without a request -----------------------------------------------------------

    def _expect_told(self, step: Dict[str, Any]) -> None:
        told = feed_patterns.Told(self._scope, step["told"])
        while not told.take(self._peer(step).notification(told.watch)):
            pass
        told.match(self._envelope(step))

    def _subscribe(self, step: Dict[str, Any]) -> None:
        """Returns when the subscriptions count: they do before a later one, which is heard."""
        socket = zmq.Context.instance().socket(zmq.SUB)
        self._subscribers[step["peer"]] = socket
        for prefix in step["subscribe"]:
            socket.subscribe(self._scope.text(prefix))
        socket.subscribe(HEARTBEAT)
        socket.connect(self._server.feed)
        if self._next_publication(socket)[0] != HEARTBEAT:
            raise vectors.Mismatch("something is published that nobody expected")

    def _expect_published(self, name: str, publication: List[Any]) -> None:
        """The next message fits; heartbeats are passed over unless one is meant."""
        while True:
            frames = self._next_publication(self._subscribers[name])
            if frames[0] != HEARTBEAT or publication[0] == HEARTBEAT.decode():
                break
        key, event = publication
        feed_patterns.match_publication(self._scope, (key, event), frames)

    @staticmethod
    def _next_publication(socket: "zmq.Socket[bytes]") -> List[bytes]:
        if not socket.poll(RECEIVE_TIMEOUT_MS):
            raise TimeoutError(f"nothing was published within {RECEIVE_TIMEOUT_MS} ms")
        return socket.recv_multipart()
