"""A connection of a case: responses and notifications come mixed, and are told apart here.

Thread safety: none.
"""

from __future__ import annotations

from typing import List, Set

from harness import feed_patterns
from harness import peer as raw
from harness import vectors
from harness import wire

PING_MSGID = 4_000_000_000


class Connection:
    """A DEALER. What a watch tells while a response is waited for is kept until it is asked for."""

    def __init__(self, endpoint: str):
        self._peer = raw.Peer(endpoint)
        self._notifications: List[feed_patterns.Notification] = []
        self._synced: Set[int] = set()  # Watches that were told so.

    def send(self, body: bytes, envelope: List[bytes]) -> None:
        self._peer.send(body, envelope)

    def response(self, envelope: List[bytes]) -> bytes:
        """The body of the next reply."""
        while True:
            *frames, body = self._peer.receive()
            if not feed_patterns.is_notification(body):
                break
            self._keep(frames, body)
        if frames != envelope:
            raise vectors.Mismatch(f"the envelope came back as {frames!r}")
        return body

    def notification(self, watch: int) -> feed_patterns.Notification:
        """The next notification of this watch."""
        while True:
            for index, notification in enumerate(self._notifications):
                if notification.watch == watch:
                    return self._notifications.pop(index)
            *frames, body = self._peer.receive()
            if not feed_patterns.is_notification(body):
                raise vectors.Mismatch(f"a reply that nobody expected: {body!r}")
            self._keep(frames, body)

    def expect_only_a_ping(self) -> None:
        """Nothing else comes, but that the watches live."""
        self._peer.send(raw.request(PING_MSGID, "ping"))
        items = wire.decode_all(self.response([]))
        if len(items) != 1 or items[0].value[1].value != PING_MSGID:
            raise vectors.Mismatch(
                f"a reply that nobody expected: {[item.to_python() for item in items]}")
        for notification in self._notifications:
            if not notification.is_quiet:
                raise vectors.Mismatch(f"something that nobody expected is told: {notification!r}")

    def close(self) -> None:
        self._peer.close()

    def _keep(self, frames: List[bytes], body: bytes) -> None:
        notification = feed_patterns.read_notification(frames, body)
        if notification.synced and notification.watch in self._synced:
            raise vectors.Mismatch(f"synced is told twice: {notification!r}")
        if notification.synced:
            self._synced.add(notification.watch)
        self._notifications.append(notification)
