"""Between Python objects and the bytes of the protocol (MessagePack-RPC, docs/PROTOCOL.md).

The only file that knows msgpack. Text is packed and unpacked with ``surrogateescape``, so that a
text which is not valid UTF-8 is written back byte for byte. A map whose keys cannot be the keys of
a ``dict`` (arrays, maps) gets tuples in their place.

    request  := [0, msgid, method, params]
    response := [1, msgid, error, result]
    params   := the method's parameters, then one map of options unless that is empty
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import msgpack

from .errors import BadReply, InvalidArgument

# once: [session, number, done]
Once = Tuple[str, int, int]

_REQUEST_HEAD = b"\x94\x00"
_RESPONSE = 1
_RESPONSE_FIELDS = 4


def pack(value: Any) -> bytes:
    """The msgpack encoding of a value. Raises InvalidArgument where there is none."""
    try:
        encoded: bytes = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"the value cannot be packed as msgpack: {error}") from error
    return encoded


def _array_head(length: int) -> bytes:
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + struct.pack(">H", length)


def _map_head(length: int) -> bytes:
    if length < 16:
        return bytes([0x80 | length])
    return b"\xde" + struct.pack(">H", length)


@dataclass(frozen=True)
class Request:
    """One request, packed except for what is known only when it is sent: msgid and ``once``."""

    method: str
    params: bytes
    param_count: int
    options: bytes
    option_count: int
    is_write: bool

    @staticmethod
    def make(
        method: str,
        params: Sequence[Any],
        options: Optional[Mapping[str, Any]] = None,
        *,
        is_write: bool = False,
    ) -> "Request":
        """Packs the parameters. Options that are None or False count as left out."""
        used = {
            name: value
            for name, value in (options or {}).items()
            if value is not None and value is not False
        }
        return Request(
            method=method,
            params=b"".join(pack(param) for param in params),
            param_count=len(params),
            options=b"".join(pack(name) + pack(value) for name, value in used.items()),
            option_count=len(used),
            is_write=is_write,
        )

    @property
    def size_bytes(self) -> int:
        """About the size on the wire: what surrounds the parameters is small."""
        return len(self.params) + len(self.options) + 64

    def encode(self, msgid: int, once: Optional[Once]) -> bytes:
        parts = [_REQUEST_HEAD, pack(msgid), pack(self.method)]
        option_count = self.option_count + (once is not None)
        parts.append(_array_head(self.param_count + (option_count > 0)))
        parts.append(self.params)
        if option_count > 0:
            parts.append(_map_head(option_count))
            parts.append(self.options)
            if once is not None:
                parts.append(pack("once") + pack(once))
        return b"".join(parts)


@dataclass(frozen=True)
class Response:
    """One response. ``error`` is None when the request went well."""

    msgid: int
    error: Optional[Mapping[Any, Any]]
    result: Mapping[Any, Any]

    @property
    def error_code(self) -> Any:
        return None if self.error is None else self.error.get("code")


def decode_responses(body: bytes) -> List[Response]:
    """The responses of one reply message; none when it is a notification.

    Raises BadReply when the body is not of the protocol.
    """
    responses: List[Response] = []
    for item in _items(body):
        if not isinstance(item, list) or not item:
            raise BadReply("the server sent something that is no response")
        if item[0] != _RESPONSE:
            continue  # A notification: nothing in this version asks for any.
        if len(item) != _RESPONSE_FIELDS or not isinstance(item[1], int):
            raise BadReply("the server sent a response of the wrong shape")
        error, result = item[2], item[3]
        if error is not None and not isinstance(error, dict):
            raise BadReply("the server sent an error that is no map")
        if error is None and not isinstance(result, dict):
            raise BadReply("the server sent a result that is no map")
        responses.append(Response(item[1], error, result if result is not None else {}))
    return responses


def _items(body: bytes) -> List[Any]:
    try:
        return _unpack_all(body, None)
    except TypeError:  # A map with a key that no dict can have.
        return _unpack_all(body, _freeze_keys)


def _unpack_all(body: bytes, pairs_hook: Any) -> List[Any]:
    unpacker: Any = msgpack.Unpacker(
        raw=False,
        strict_map_key=False,
        unicode_errors="surrogateescape",
        object_pairs_hook=pairs_hook,
        max_buffer_size=max(len(body), 1),
    )
    unpacker.feed(body)
    try:
        items: List[Any] = list(unpacker)
    except ValueError as error:  # All of msgpack's own errors are ValueErrors.
        raise BadReply(f"the server sent something that is not msgpack: {error}") from error
    if unpacker.tell() != len(body):
        raise BadReply("the server's answer ends in the middle")
    return items


def _freeze_keys(pairs: Iterable[Tuple[Any, Any]]) -> Dict[Any, Any]:
    return {_frozen(key): value for key, value in pairs}


def _frozen(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(_frozen(part) for part in key)
    if isinstance(key, dict):
        return tuple((_frozen(name), _frozen(value)) for name, value in key.items())
    return key
