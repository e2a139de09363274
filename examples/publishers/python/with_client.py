"""Sends entries through the Entrepôt client, which reconnects and repeats by itself."""

import sys
from pathlib import Path
from typing import List

try:
    import entrepot
except ModuleNotFoundError:  # Not installed: the one of this checkout.
    sys.path.append(str(Path(__file__).resolve().parents[3] / "clients" / "python"))
    import entrepot

from publishing import ANSWER_TIMEOUT_MS, Entry, ServerAway

AWAY = (
    entrepot.errors.Unreachable,
    entrepot.errors.Timeout,
    entrepot.errors.Overloaded,
    entrepot.errors.Unavailable,
    entrepot.errors.ReadOnly,
    entrepot.errors.Full,
)


class ClientSender:
    """One body for each batch."""

    def __init__(self, server: str) -> None:
        self._client = entrepot.Client(server, timeout_ms=ANSWER_TIMEOUT_MS)

    def send(self, batch: List[Entry]) -> None:
        try:
            with self._client.pipeline() as pipeline:
                results = [pipeline.set(e.key, e.value, ttl_ms=e.ttl_ms) for e in batch]
            for result in results:
                result.result()
        except AWAY as error:
            raise ServerAway(error.message) from error

    def close(self) -> None:
        self._client.close()
