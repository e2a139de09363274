"""The client libraries as the runner of the vectors sees them: requests in, a reply body out.

A library decodes and encodes by itself: what it is given are the method and the parameters of each
request, and the reply is put together again from the results and errors that it hands out. So a
value that it changes on the way is found, and an error that it does not tell as the server does.

Thread safety: none.
"""

from __future__ import annotations

import subprocess
from typing import Any, Dict, List, Optional, Sequence

from entrepot import Client, _calls, _codec
from entrepot.errors import InvalidArgument
from harness import server as servers
from harness import wire

TIMEOUT_MS = 60_000


class CannotExpress(Exception):
    """The library has no way to say this; the text says what it is."""


def reply(responses: Sequence[Sequence[bytes]]) -> bytes:
    """The body with these (error, result), under the msgids from 1."""
    return b"".join(
        wire.encode_array([wire.encode_int(1), wire.encode_int(index), error, result])
        for index, (error, result) in enumerate(responses, start=1))


class PythonLibrary:
    """`entrepot.Client`: by its typed methods where they make this request, else untyped."""

    name = "python"

    def __init__(self, endpoint: str):
        self._endpoint = endpoint
        self._clients: Dict[str, Client] = {}

    def exchange(self, peer: str, requests: Sequence[wire.Item]) -> bytes:
        if peer not in self._clients:
            self._clients[peer] = Client(self._endpoint, timeout_ms=TIMEOUT_MS)
        calls = [self._call(request) for request in requests]
        exchange = self._clients[peer]._exchange([call.request for call in calls])
        if exchange.error is not None:
            raise exchange.error
        for call, response in zip(calls, exchange.responses):
            if response.error is None:
                self._check_typed(call.read(response.result), response.result)
        return reply([(_codec.pack(response.error),
                       _codec.pack(response.result if response.error is None else None))
                      for response in exchange.responses])

    def close(self, peer: Optional[str] = None) -> None:
        """Closes the client of this peer, or all of them."""
        for name in [peer] if peer else list(self._clients):
            self._clients.pop(name).close()

    @staticmethod
    def _call(item: wire.Item) -> "_calls.Call[Any]":
        method, params = (_codec._items(part.raw)[0] for part in item.value[2:])
        request = _codec.Request.make(method, params)
        if request.encode(item.value[1].value, None) != item.raw:
            raise CannotExpress("Python objects do not tell its encoding")
        typed = _typed(method, params)
        return typed or _calls.Call(request, lambda result: None)

    @staticmethod
    def _check_typed(typed: Any, result: Dict[str, Any]) -> None:
        """What the typed result and the map of the wire both name is the same."""
        for name in PLAIN_FIELDS & set(result):
            if hasattr(typed, name):
                told = getattr(typed, name)
                assert _codec.pack(told) == _codec.pack(result[name]), (name, typed)


# Fields of results that are handed out as they are.
PLAIN_FIELDS = {"status", "version", "value", "ttl_ms", "previous_version", "length", "count",
                "version_end", "deleted", "more", "examined", "cursor", "replayed"}
# Where the name of the client's method is not that of the protocol's.
TYPED_NAMES = {"get": "entry", "find": "find_page", "scan": "scan_page"}


def _typed(method: str, params: List[Any]) -> "Optional[_calls.Call[Any]]":
    """The typed call that makes exactly this request, or None: for what it would refuse itself."""
    options = params[-1] if params and isinstance(params[-1], dict) else {}
    arguments = params[:-1] if options else params
    if method.startswith("_") or "once" in options or method == "transact":
        return None
    build = getattr(_calls, TYPED_NAMES.get(method, method), None)
    try:
        call = build(*arguments, **options)
        made = _codec._items(call.request.encode(0, None))[0]
    except (TypeError, InvalidArgument):
        return None
    return call if made == [0, 0, method, params] else None


class CppLibrary:
    """`entrepot::Client`, in client_bridge."""

    name = "cpp"

    def __init__(self, endpoint: str):
        self._process = subprocess.Popen([servers.binary("client_bridge"), endpoint], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def exchange(self, peer: str, requests: Sequence[wire.Item]) -> bytes:
        words = [peer]
        for request in requests:
            _, _, method, params = request.value
            words += ["/", "x" + method.value.hex(), *("x" + item.raw.hex()
                                                       for item in params.value)]
        self._send(words)
        return reply([self._response() for _ in requests])

    def close(self, peer: Optional[str] = None) -> None:
        """Closes the client of this peer, or the library."""
        if peer:
            self._send([peer])
            return
        self._process.communicate()
        assert self._process.returncode == 0

    def _send(self, words: Sequence[str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()

    def _response(self) -> Sequence[bytes]:
        assert self._process.stdout is not None
        kind, *words = self._process.stdout.readline().split()
        if kind == "result":
            return wire.encode_nil(), bytes.fromhex(words[0][1:])
        code, retry, _, message = words
        fields = {"code": code.encode(), "message": bytes.fromhex(message[1:]),
                  "retry": retry.encode()}
        return wire.encode_map([(wire.encode_str(name.encode()), wire.encode_str(text))
                                for name, text in fields.items()]), wire.encode_nil()
