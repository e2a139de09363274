"""Msgpack as the wire tests need it: exact about types, and about bytes.

The usual msgpack library hides what these tests are about: whether a string was a str or a bin,
whether a float had 32 or 64 bits, which bytes a value was made of. So this module encodes and
decodes by itself. It is slow and strict, and independent of every library that the project uses.

Decode() gives a tree of Item: `kind` is one of KINDS, `value` the Python value (str as bytes, a
map as a list of pairs, since keys may repeat), `raw` the bytes it was read from.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Any, List, Optional, Tuple

KINDS = ("nil", "bool", "int", "float32", "float64", "str", "bin", "ext", "array", "map")

UINT32_MAX = 2**32 - 1


class WireError(Exception):
    """Bytes that are not msgpack, or end too soon."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One decoded msgpack value."""

    kind: str
    value: Any
    raw: bytes

    def field(self, name: str) -> Optional["Item"]:
        """The value of the str key `name` of a map, or None where the map has no such key."""
        if self.kind != "map":
            raise WireError(f"a field {name!r} was asked of a {self.kind}")
        found = [value for key, value in self.value if key.kind == "str" and
                 key.value == name.encode()]
        if len(found) > 1:
            raise WireError(f"the map has the field {name!r} {len(found)} times")
        return found[0] if found else None

    def to_python(self) -> Any:
        """The plain Python value: str where the bytes are a str, dict where the keys allow it."""
        if self.kind == "str":
            return self.value.decode("utf-8", "surrogateescape")
        if self.kind == "array":
            return [element.to_python() for element in self.value]
        if self.kind == "map":
            return {key.to_python(): element.to_python() for key, element in self.value}
        return self.value


# ---- encoding -----------------------------------------------------------------------------------


def encode_nil() -> bytes:
    return b"\xc0"


def encode_bool(value: bool) -> bytes:
    return b"\xc3" if value else b"\xc2"


def encode_int(value: int) -> bytes:
    """The shortest encoding of an integer of 64 bits, signed or not."""
    if 0 <= value <= 0x7F:
        return struct.pack(">B", value)
    if -32 <= value < 0:
        return struct.pack(">b", value)
    for low, high, head, layout in (
            (0, 2**8 - 1, 0xCC, ">BB"), (0, 2**16 - 1, 0xCD, ">BH"),
            (0, 2**32 - 1, 0xCE, ">BI"), (0, 2**64 - 1, 0xCF, ">BQ"),
            (-2**7, -1, 0xD0, ">Bb"), (-2**15, -1, 0xD1, ">Bh"),
            (-2**31, -1, 0xD2, ">Bi"), (-2**63, -1, 0xD3, ">Bq")):
        if low <= value <= high:
            return struct.pack(layout, head, value)
    raise WireError(f"{value} is no integer of 64 bits")


def encode_float32(value: float) -> bytes:
    return struct.pack(">Bf", 0xCA, value)


def encode_float64(value: float) -> bytes:
    return struct.pack(">Bd", 0xCB, value)


def _sized(size: int, heads: Tuple[Tuple[int, int, str], ...]) -> bytes:
    for limit, head, layout in heads:
        if size <= limit:
            return struct.pack(layout, head, size)
    raise WireError(f"{size} is over what msgpack can hold")


def encode_str(content: bytes) -> bytes:
    """A str of any bytes, valid UTF-8 or not."""
    if len(content) <= 31:
        return bytes([0xA0 | len(content)]) + content
    heads = ((2**8 - 1, 0xD9, ">BB"), (2**16 - 1, 0xDA, ">BH"), (UINT32_MAX, 0xDB, ">BI"))
    return _sized(len(content), heads) + content


def encode_bin(content: bytes) -> bytes:
    heads = ((2**8 - 1, 0xC4, ">BB"), (2**16 - 1, 0xC5, ">BH"), (UINT32_MAX, 0xC6, ">BI"))
    return _sized(len(content), heads) + content


def encode_ext(ext_type: int, content: bytes) -> bytes:
    fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
    if len(content) in fixed:
        return struct.pack(">Bb", fixed[len(content)], ext_type) + content
    heads = ((2**8 - 1, 0xC7, ">BB"), (2**16 - 1, 0xC8, ">BH"), (UINT32_MAX, 0xC9, ">BI"))
    return _sized(len(content), heads) + struct.pack(">b", ext_type) + content


def encode_array(elements: List[bytes]) -> bytes:
    """An array of elements that are encoded already."""
    if len(elements) <= 15:
        return bytes([0x90 | len(elements)]) + b"".join(elements)
    heads = ((2**16 - 1, 0xDC, ">BH"), (UINT32_MAX, 0xDD, ">BI"))
    return _sized(len(elements), heads) + b"".join(elements)


def encode_map(pairs: List[Tuple[bytes, bytes]]) -> bytes:
    """A map of pairs that are encoded already, in this order."""
    content = b"".join(key + value for key, value in pairs)
    if len(pairs) <= 15:
        return bytes([0x80 | len(pairs)]) + content
    return _sized(len(pairs), ((2**16 - 1, 0xDE, ">BH"), (UINT32_MAX, 0xDF, ">BI"))) + content


# ---- decoding -----------------------------------------------------------------------------------


class _Reader:
    def __init__(self, data: bytes, position: int):
        self.data = data
        self.position = position

    def take(self, count: int) -> bytes:
        if self.position + count > len(self.data):
            raise WireError(f"{count} bytes wanted at {self.position} of {len(self.data)}")
        taken = self.data[self.position:self.position + count]
        self.position += count
        return taken

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]


_INT_LAYOUTS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
                0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_STR_LAYOUTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BIN_LAYOUTS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_EXT_LAYOUTS = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_EXT_SIZES = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_ARRAY_LAYOUTS = {0xDC: ">H", 0xDD: ">I"}
_MAP_LAYOUTS = {0xDE: ">H", 0xDF: ">I"}


def _read_content(reader: _Reader) -> Tuple[str, Any]:
    head = reader.number(">B")
    if head <= 0x7F:
        return "int", head
    if head >= 0xE0:
        return "int", head - 256
    if head <= 0x8F:
        return "map", _read_pairs(reader, head & 0x0F)
    if head <= 0x9F:
        return "array", _read_elements(reader, head & 0x0F)
    if head <= 0xBF:
        return "str", reader.take(head & 0x1F)
    if head == 0xC0:
        return "nil", None
    if head in (0xC2, 0xC3):
        return "bool", head == 0xC3
    if head == 0xCA:
        return "float32", reader.number(">f")
    if head == 0xCB:
        return "float64", reader.number(">d")
    if head in _INT_LAYOUTS:
        return "int", reader.number(_INT_LAYOUTS[head])
    if head in _STR_LAYOUTS:
        return "str", reader.take(reader.number(_STR_LAYOUTS[head]))
    if head in _BIN_LAYOUTS:
        return "bin", reader.take(reader.number(_BIN_LAYOUTS[head]))
    if head in _ARRAY_LAYOUTS:
        return "array", _read_elements(reader, reader.number(_ARRAY_LAYOUTS[head]))
    if head in _MAP_LAYOUTS:
        return "map", _read_pairs(reader, reader.number(_MAP_LAYOUTS[head]))
    if head in _EXT_SIZES or head in _EXT_LAYOUTS:
        size = _EXT_SIZES.get(head)
        if size is None:
            size = reader.number(_EXT_LAYOUTS[head])
        ext_type = reader.number(">b")
        return "ext", (ext_type, reader.take(size))
    raise WireError(f"the byte {head:#04x} begins no msgpack value")


def _read_elements(reader: _Reader, count: int) -> List[Item]:
    return [_read_item(reader) for _ in range(count)]


def _read_pairs(reader: _Reader, count: int) -> List[Tuple[Item, Item]]:
    return [(_read_item(reader), _read_item(reader)) for _ in range(count)]


def _read_item(reader: _Reader) -> Item:
    start = reader.position
    kind, value = _read_content(reader)
    return Item(kind, value, reader.data[start:reader.position])


def decode_all(data: bytes) -> List[Item]:
    """Every value of `data`, one after the other."""
    reader = _Reader(data, 0)
    items = []
    while reader.position < len(data):
        items.append(_read_item(reader))
    return items
