"""A raw watcher: reads notifications beside responses, and keeps what it was told.

    with Watching(server.endpoint) as watcher:
        watcher.watch({"snapshot": True})
        watcher.read_until(lambda: watcher.synced)

Thread safety: none; a watcher belongs to one thread.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import msgpack
import zmq

from harness.peer import NOTIFICATION, CallError, Peer, request

READ_TIMEOUT_S = 60.0


class ChainBroken(AssertionError):
    """An event does not name the version that the one before it of the same key had."""


class Watching:
    """One watch: a dictionary of what it was told, with every key's chain checked.

    `entries` has (value, version) by key. It outlives reconnect(), so that a watch can be resumed.
    `patience_s`: how long it waits for any message before it takes the connection for dead.
    """

    def __init__(self, endpoint: str, patience_s: float = READ_TIMEOUT_S,
                 context: Optional["zmq.Context[Any]"] = None):
        self._endpoint = endpoint
        self._context = context
        self._patience_s = patience_s
        self._options: Dict[str, Any] = {}
        self._was_synced = False
        self.entries: Dict[Any, Tuple[Any, int]] = {}
        self.events: List[Dict[str, Any]] = []
        self.synced = False
        self.error: Optional[Dict[str, Any]] = None
        self.history = ""
        self.version = 0
        self.id = 0
        self.messages = 0
        self._last_versions: Dict[Any, int] = {}
        self._last_ops: Dict[Any, str] = {}
        self._peer = Peer(endpoint, context=context)
        self._msgid = 0

    def reconnect(self, endpoint: Optional[str] = None) -> None:
        self._endpoint = endpoint or self._endpoint
        self._peer.close()
        self._peer = Peer(self._endpoint, context=self._context)
        self.synced = False

    def call(self, method: str, *params: Any) -> Dict[str, Any]:
        """The result of one request; notifications that come before it are taken in."""
        self.ask(method, *params)
        return self._take_response()

    def _take_response(self) -> Dict[str, Any]:
        while True:
            item = self._receive(self._patience_s)
            if item[0] != NOTIFICATION:
                assert item[1] == self._msgid, item
                if item[2] is not None:
                    raise CallError(item[2])
                return dict(item[3])
            self._take(item)

    def ask(self, method: str, *params: Any) -> None:
        """Sends a request and does not wait."""
        self._msgid += 1
        self._peer.send(request(self._msgid, method, *params))

    def watch(self, options: Dict[str, Any]) -> None:
        if "since" not in options:
            self._options = options
        self.ask("watch", options)
        self.take_watch()

    def take_watch(self) -> None:
        """Reads the response to a `watch` that was asked for."""
        result = self._take_response()
        self.id, self.history, self.version = result["watch"], result["history"], result["version"]

    def resume(self) -> None:
        """Watches again behind what it was told last; from the beginning if it never was synced."""
        if self._was_synced or not self._options.get("snapshot"):
            since = {"since": [self.history, self.version], "snapshot": False}
            return self.watch({**self._options, **since})
        self.entries.clear()
        self._last_versions.clear()
        self.watch(self._options)

    def follow_until(self, condition: Callable[[], bool]) -> None:
        """As read_until(), but what is silent for longer than its patience is watched again."""
        deadline = time.monotonic() + READ_TIMEOUT_S
        is_watching = True
        while not (is_watching and condition()):
            assert time.monotonic() < deadline, f"not within {READ_TIMEOUT_S} s"
            try:
                if not is_watching:
                    self.reconnect()
                    self.resume()
                    is_watching = True
                    continue
                self._take(self._receive(self._patience_s))
            except TimeoutError:
                is_watching = False
            except CallError as reason:
                # It has just been started.
                if reason.code != "unavailable":
                    raise

    def read_until(self, condition: Callable[[], bool], timeout_s: float = READ_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            item = self._receive(deadline - time.monotonic())
            assert item[0] == NOTIFICATION, item
            self._take(item)

    def _receive(self, timeout_s: float) -> List[Any]:
        body = self._peer.receive(max(1, int(timeout_s * 1000)))[-1]
        return list(msgpack.unpackb(body, raw=False, strict_map_key=False))

    def _take(self, item: List[Any]) -> None:
        _, method, (watch, events, status) = item
        assert method == "events"
        if watch != self.id:
            return
        self.messages += 1
        assert status["version"] >= self.version, (status, self.version)
        for event in events:
            self._take_event(event)
        self.version = status["version"]
        if status["synced"]:
            assert not self.synced, "synced came twice"
            self.synced = self._was_synced = True
        self.error = status.get("error")

    def _take_event(self, event: Dict[str, Any]) -> None:
        self.events.append(event)
        key, version = event["key"], event["version"]
        known = self._last_versions.get(key)
        if known is not None and not event.get("snapshot"):
            # What left a query may still be there.
            before = {"delete": (0,), "left": (0, known)}.get(self._last_ops[key], (known,))
            if version <= known or event["previous_version"] not in before:
                raise ChainBroken(f"{event} behind {self._last_ops[key]} of version {known}")
        self._last_versions[key], self._last_ops[key] = version, event["op"]
        if event["op"] == "set":
            self.entries[key] = (event.get("value"), version)
        elif event["op"] == "touch":
            if key in self.entries:
                self.entries[key] = (self.entries[key][0], version)
        else:
            self.entries.pop(key, None)

    def close(self) -> None:
        self._peer.close()

    def __enter__(self) -> "Watching":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
