"""Runs one case of the vectors against a server, with raw DEALER sockets.

The runner knows nothing of the methods: it sends the bytes that a step describes and matches what
comes back. After every case it asks each of its peers for a ping, so that a response that nobody
expected is found.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Dict, List

from harness import peer as raw
from harness import vectors
from harness import wire

UNTIL_TIMEOUT_S = 20.0
PING_MSGID = 4_000_000_000

_case_numbers = itertools.count(1)


class CaseRunner:
    """One case, run once. The peers that its steps name are connections of their own."""

    def __init__(self, endpoint: str, case: vectors.Case):
        self._endpoint = endpoint
        self._case = case
        self._scope = vectors.Scope(f"case{next(_case_numbers)}/")
        self._peers: Dict[str, raw.Peer] = {}

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
            for name in self._peers:
                self._expect_only_a_ping(name)
        finally:
            for peer in self._peers.values():
                peer.close()

    def _run_step(self, step: Dict[str, Any]) -> None:
        deadline = time.monotonic() + UNTIL_TIMEOUT_S
        while True:
            try:
                self._exchange(step)
                return
            except vectors.Mismatch:
                if not step.get("until") or time.monotonic() > deadline:
                    raise

    def _exchange(self, step: Dict[str, Any]) -> None:
        name = step.get("peer", "a")
        if name not in self._peers:
            self._peers[name] = raw.Peer(self._endpoint)
        body, msgids = vectors.step_body(self._scope, step)
        envelope = [bytes.fromhex(frame) for frame in step.get("envelope", [])]
        self._peers[name].send(body, envelope)
        if not step["expect"]:
            self._expect_only_a_ping(name)
            return
        reply = self._receive(name, envelope)
        while self._is_building(reply):
            self._peers[name].send(body, envelope)
            reply = self._receive(name, envelope)
        if step.get("walk"):
            reply = self._walk(name, step, reply)
        vectors.match_responses(self._scope, step["expect"], msgids, reply)

    @staticmethod
    def _is_building(reply: bytes) -> bool:
        """Whether the only response asks to come again while an index is built."""
        items = wire.decode_all(reply)
        error = items[0].value[2]
        return len(items) == 1 and error.kind == "map" and error.field("retry_after_ms") is not None

    def _receive(self, name: str, envelope: List[bytes]) -> bytes:
        frames = self._peers[name].receive()
        if frames[:-1] != envelope:
            raise vectors.Mismatch(f"the envelope came back as {frames[:-1]!r}")
        return frames[-1]

    def _walk(self, name: str, step: Dict[str, Any], first: bytes) -> bytes:
        """Asks for the pages behind the first one; all of them as one reply."""
        bodies = [first]
        while True:
            result = wire.decode_all(bodies[-1])[0].value[3]
            cursor = result.field("cursor") if result.kind == "map" else None
            if cursor is None:
                break
            body, _ = vectors.step_body(self._scope, vectors.next_page(step, cursor))
            self._peers[name].send(body)
            bodies.append(self._receive(name, []))
        return vectors.join_pages(bodies) if len(bodies) > 1 else first

    def _expect_only_a_ping(self, name: str) -> None:
        peer = self._peers[name]
        peer.send(raw.request(PING_MSGID, "ping"))
        items = wire.decode_all(peer.receive()[-1])
        if len(items) != 1 or items[0].value[1].value != PING_MSGID:
            raise vectors.Mismatch(
                f"a reply that nobody expected: {[item.to_python() for item in items]}")
