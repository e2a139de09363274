"""Between Python objects and the bytes of the protocol (MessagePack-RPC, docs/PROTOCOL.md).

The only file that knows msgpack. Text is packed and unpacked with ``surrogateescape``, so that a
text which is not valid UTF-8 is written back byte for byte. A map whose keys cannot be the keys of
a ``dict`` (arrays, maps) gets tuples in their place.

    request      := [0, msgid, method, params]
    response     := [1, msgid, error, result]
    notification := [2, method, params]
    params       := the method's parameters, then one map of options unless that is empty
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
_NOTIFICATION_HEAD = b"\x93\x02"
_RESPONSE = 1
_RESPONSE_FIELDS = 4
_NOTIFICATION = 2
_NOTIFICATION_FIELDS = 3


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
        switched_off: Iterable[str] = (),
    ) -> "Request":
        """Packs the parameters. Options that are None or False count as left out.

        ``switched_off`` names options that are on for the server unless they are said to be false.
        """
        used = {
            name: value
            for name, value in (options or {}).items()
            if value is not None and value is not False
        }
        used.update((name, False) for name in switched_off)
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
        return b"".join([_REQUEST_HEAD, pack(msgid), *self._method_and_params(once)])

    def encode_as_notification(self) -> bytes:
        """Without a msgid: nothing is answered."""
        return b"".join([_NOTIFICATION_HEAD, *self._method_and_params(None)])

    def _method_and_params(self, once: Optional[Once]) -> List[bytes]:
        parts = [pack(self.method)]
        option_count = self.option_count + (once is not None)
        parts.append(_array_head(self.param_count + (option_count > 0)))
        parts.append(self.params)
        if option_count > 0:
            parts.append(_map_head(option_count))
            parts.append(self.options)
            if once is not None:
                parts.append(pack("once") + pack(once))
        return parts


@dataclass(frozen=True)
class Response:
    """One response. ``error`` is None when the request went well."""

    msgid: int
    error: Optional[Mapping[Any, Any]]
    result: Mapping[Any, Any]

    @property
    def error_code(self) -> Any:
        return None if self.error is None else self.error.get("code")


@dataclass(frozen=True)
class Notification:
    """What the server tells of its own accord."""

    method: Any
    params: List[Any]


def decode(body: bytes) -> Tuple[List[Response], List[Notification]]:
    """The responses of one message, and the notifications.

    Raises BadReply when the body is not of the protocol.
    """
    responses: List[Response] = []
    notifications: List[Notification] = []
    for item in _items(body):
        if not isinstance(item, list) or not item:
            raise BadReply("the server sent something that is no response")
        if item[0] == _NOTIFICATION:
            if len(item) != _NOTIFICATION_FIELDS or not isinstance(item[2], list):
                raise BadReply("the server sent a notification of the wrong shape")
            notifications.append(Notification(item[1], item[2]))
            continue
        if item[0] != _RESPONSE:
            raise BadReply("the server sent something that is no response")
        if len(item) != _RESPONSE_FIELDS or not isinstance(item[1], int):
            raise BadReply("the server sent a response of the wrong shape")
        error, result = item[2], item[3]
        if error is not None and not isinstance(error, dict):
            raise BadReply("the server sent an error that is no map")
        if error is None and not isinstance(result, dict):
            raise BadReply("the server sent a result that is no map")
        responses.append(Response(item[1], error, result if result is not None else {}))
    return responses, notifications


def decode_value(body: bytes) -> Any:
    """The one value that a frame of the feed holds. Raises BadReply when it is not msgpack."""
    items = _items(body)
    if len(items) != 1:
        raise BadReply(f"the feed sent {len(items)} values in one frame")
    return items[0]


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
