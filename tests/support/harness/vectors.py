"""Reads the test vectors, turns their JSON into bytes and matches responses against patterns.

The format is documented in tests/vectors/README.md; this module is its reference
implementation. A mistake in a vector is a VectorError, a response that does not fit a Mismatch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import wire

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "vectors"

FILE_FIELDS = {"topic", "about", "cases"}
CASE_FIELDS = {"name", "cites", "options", "steps"}
STEP_FIELDS = {"cites", "peer", "send", "bytes", "envelope", "expect", "until", "walk",
               "told", "subscribe", "published"}
TOLD_FIELDS = {"watch", "events", "synced", "version", "error"}
# What a step does or waits for; the fields of a request come together.
STEP_PARTS = ("expect", "told", "subscribe", "published")
OWN_PREFIX_MARK = "~"


class VectorError(Exception):
    """A vector that does not follow the format."""


class Mismatch(AssertionError):
    """A response that does not fit its pattern."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of a vector file."""

    topic: str
    name: str
    cites: str
    options: Dict[str, str]
    steps: List[Dict[str, Any]]

    @property
    def title(self) -> str:
        return f"{self.topic}: {self.name}"


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise VectorError(what)


def load_file(path: pathlib.Path) -> List[Case]:
    """The cases of one file; VectorError where it does not follow the format."""
    content = json.loads(path.read_text())
    _require(set(content) == FILE_FIELDS, f"{path.name}: fields {sorted(content)}")
    cases = []
    for case in content["cases"]:
        where = f"{path.name}: {case.get('name')}"
        _require(set(case) <= CASE_FIELDS, f"{where}: fields {sorted(case)}")
        _require(bool(case["steps"]), f"{where}: no steps")
        for step in case["steps"]:
            _require(set(step) <= STEP_FIELDS, f"{where}: fields {sorted(step)}")
            _require(any(part in step for part in STEP_PARTS), f"{where}: a step does nothing")
            _require(is_request(step) == ("expect" in step), f"{where}: half of a request")
            _require({"watch", "events"} <= set(step.get("told", TOLD_FIELDS)) <= TOLD_FIELDS,
                     f"{where}: fields of told")
            _require("cites" in case or "cites" in step, f"{where}: nothing is cited")
        cases.append(Case(content["topic"], case["name"], case.get("cites", ""),
                          case.get("options", {}), case["steps"]))
    names = [case.name for case in cases]
    _require(len(names) == len(set(names)), f"{path.name}: two cases have one name")
    return cases


def is_request(step: Dict[str, Any]) -> bool:
    """Whether the step sends anything; if not, it waits for what is told by itself."""
    return "send" in step or "bytes" in step


def load_all() -> List[Case]:
    """The cases of all files, in the order of the files' names."""
    return [case for path in sorted(FOLDER.glob("*.json")) for case in load_file(path)]


def _numbered(text: str, index: int) -> str:
    """The text with the index in four digits in the place of "#"."""
    return text.replace("#", f"{index:04d}")


class Scope:
    """What a running case knows: its own prefix and what its steps saved."""

    def __init__(self, prefix: str):
        self.prefix = prefix.encode()
        self._saved: Dict[str, wire.Item] = {}

    def save(self, name: str, item: wire.Item) -> None:
        self._saved[name] = item

    def saved(self, name: str) -> wire.Item:
        _require(name in self._saved, f"nothing was saved as {name!r}")
        return self._saved[name]

    def text(self, text: str) -> bytes:
        if text.startswith(OWN_PREFIX_MARK):
            return self.prefix + text[len(OWN_PREFIX_MARK):].encode()
        return text.encode()

    def content(self, parts: Any) -> bytes:
        """Bytes given as a hex string, or as a list of hex strings, "~" and {"$repeat"}."""
        result = b""
        for part in parts if isinstance(parts, list) else [parts]:
            if part == OWN_PREFIX_MARK:
                result += self.prefix
            elif isinstance(part, dict):
                text, count = part["$repeat"]
                result += text.encode() * count
            else:
                result += bytes.fromhex(part)
        return result

    # ---- from JSON to bytes ---------------------------------------------------------------------

    def encode(self, value: Any) -> bytes:
        """The msgpack encoding of a value in the vectors' JSON form."""
        if value is None:
            return wire.encode_nil()
        if isinstance(value, bool):
            return wire.encode_bool(value)
        if isinstance(value, int):
            return wire.encode_int(value)
        if isinstance(value, str):
            return wire.encode_str(self.text(value))
        if isinstance(value, list):
            return wire.encode_array([self.encode(element) for element in value])
        if isinstance(value, dict):
            tags = [key for key in value if key.startswith("$")]
            if tags:
                return self._encode_tagged(tags[0], value)
            return wire.encode_map([(self.encode(key), self.encode(element))
                                    for key, element in value.items()])
        raise VectorError(f"{value!r}: floats are written {{\"$float64\": \"1.5\"}}")

    def _encode_tagged(self, tag: str, value: Dict[str, Any]) -> bytes:
        operand = value[tag]
        if tag == "$int":
            return wire.encode_int(int(operand))
        if tag == "$float64":
            return wire.encode_float64(float(operand))
        if tag == "$float32":
            return wire.encode_float32(float(operand))
        if tag == "$str":
            return wire.encode_str(self.content(operand))
        if tag == "$bin":
            return wire.encode_bin(self.content(operand))
        if tag == "$ext":
            return wire.encode_ext(operand[0], bytes.fromhex(operand[1]))
        if tag == "$raw":
            return bytes.fromhex(operand)
        if tag == "$map":
            return wire.encode_map([(self.encode(key), self.encode(element))
                                    for key, element in operand])
        if tag == "$times":
            count, element = operand
            return wire.encode_array([self.encode(element)] * count)
        if tag == "$numbered":
            count, text = operand
            return wire.encode_array([self.encode(_numbered(text, index))
                                      for index in range(count)])
        if tag == "$nested":
            depth, innermost = operand
            return b"\x91" * depth + self.encode(innermost)
        if tag == "$saved":
            saved = self.saved(operand)
            if "plus" in value:
                return wire.encode_int(int(saved.value) + int(value["plus"]))
            return saved.raw
        raise VectorError(f"{tag} cannot be sent")

    # ---- matching -------------------------------------------------------------------------------

    def match(self, pattern: Any, item: wire.Item, where: str) -> None:
        """Raises Mismatch where the item does not fit the pattern."""
        if isinstance(pattern, dict):
            tags = [key for key in pattern if key.startswith("$")]
            if tags and tags[0] in _MATCHERS:
                _MATCHERS[tags[0]](self, pattern, item, where)
                return
            if not tags or tags[0] == "$map":
                self._match_map(pattern, item, where)
                return
        if isinstance(pattern, list):
            _expect(item.kind == "array", where, "an array", item)
            _expect(len(item.value) == len(pattern), where, f"{len(pattern)} elements", item)
            for index, element in enumerate(pattern):
                self.match(element, item.value[index], f"{where}[{index}]")
            return
        wanted = wire.decode_all(self.encode(pattern))[0]
        _expect(_same(wanted, item), where, str(pattern), item)

    def match_fields(self, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
        """Matches the fields that the pattern names; others may be there too."""
        _expect(item.kind == "map", where, "a map", item)
        for name, wanted in pattern.items():
            field = item.field(name)
            if isinstance(wanted, dict) and "$absent" in wanted:
                _expect(field is None, f"{where}.{name}", "no such field", field)
                continue
            _expect(field is not None, f"{where}.{name}", "a field", item)
            assert field is not None
            self.match(wanted, field, f"{where}.{name}")

    def _match_map(self, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
        pairs = pattern["$map"] if "$map" in pattern else list(pattern.items())
        _expect(item.kind == "map" and len(item.value) == len(pairs), where,
                f"a map of {len(pairs)}", item)
        for (key, element), (item_key, item_element) in zip(pairs, item.value):
            self.match(key, item_key, f"{where} key")
            self.match(element, item_element, f"{where}.{key}")


def _same(wanted: wire.Item, item: wire.Item) -> bool:
    if wanted.kind != item.kind:
        return False
    if wanted.kind in ("float32", "float64") and math.isnan(wanted.value):
        return math.isnan(item.value)
    if wanted.kind in ("float32", "float64"):
        return wanted.raw == item.raw
    return bool(wanted.value == item.value)


def _expect(condition: bool, where: str, wanted: str, item: Optional[wire.Item]) -> None:
    if not condition:
        got = "nothing" if item is None else f"{item.kind} {_short(item.to_python())}"
        raise Mismatch(f"{where}: expected {_short(wanted)}, got {got}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 400 else text[:400] + "…"


def _match_any(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    wanted = pattern["$any"]
    _require(wanted == "value" or wanted in wire.KINDS, f"$any {wanted!r} is no type")
    _expect(wanted in ("value", item.kind), where, f"any {wanted}", item)


def _match_save(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    if "as" in pattern:
        scope.match(pattern["as"], item, where)
    scope.save(pattern["$save"], item)


def _match_saved(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    wanted = wire.decode_all(scope.encode(pattern))[0]
    _expect(_same(wanted, item), where, f"{pattern['$saved']} = {wanted.to_python()!r}", item)


def _match_above(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    bound = wire.decode_all(scope.encode(pattern["$above"]))[0]
    _expect(item.kind == "int" and item.value > bound.value, where, f"above {bound.value}", item)


def _match_between(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    low, high = pattern["$between"]
    _expect(item.kind == "int" and low <= item.value <= high, where, f"{low} to {high}", item)


def _match_contains(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.kind == "str" and scope.text(pattern["$contains"]) in item.value, where,
            f"text with {pattern['$contains']!r}", item)


def _match_regular(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.kind == "str" and
            re.fullmatch(pattern["$matches"].encode(), item.value) is not None, where,
            f"text like {pattern['$matches']!r}", item)


def _match_length(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.kind in ("str", "bin", "array", "map") and
            len(item.value) == pattern["$length"], where, f"length {pattern['$length']}", item)


def _match_raw(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.raw == bytes.fromhex(pattern["$raw"]), where, f"bytes {pattern['$raw']}", item)


def _match_one_of(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    reasons = []
    for choice in pattern["$one_of"]:
        try:
            scope.match(choice, item, where)
            return
        except Mismatch as reason:
            reasons.append(str(reason))
    raise Mismatch(f"{where}: none of the choices fits: " + "; ".join(reasons))


def _match_has(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.kind == "array", where, "an array", item)
    for wanted in pattern["$has"]:
        wanted_item = wire.decode_all(scope.encode(wanted))[0]
        _expect(any(_same(wanted_item, element) for element in item.value), where,
                f"an array with {wanted!r}", item)


def _match_lacks(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    _expect(item.kind == "array", where, "an array", item)
    for unwanted in pattern["$lacks"]:
        unwanted_item = wire.decode_all(scope.encode(unwanted))[0]
        _expect(not any(_same(unwanted_item, element) for element in item.value), where,
                f"an array without {unwanted!r}", item)


def _match_fields(scope: Scope, pattern: Dict[str, Any], item: wire.Item, where: str) -> None:
    scope.match_fields(pattern["$fields"], item, where)


_MATCHERS = {
    "$any": _match_any, "$save": _match_save, "$saved": _match_saved, "$above": _match_above,
    "$between": _match_between, "$contains": _match_contains, "$matches": _match_regular,
    "$length": _match_length, "$raw": _match_raw, "$one_of": _match_one_of, "$has": _match_has,
    "$lacks": _match_lacks, "$fields": _match_fields,
}


# ---- steps --------------------------------------------------------------------------------------


def step_body(scope: Scope, step: Dict[str, Any]) -> Tuple[bytes, List[int]]:
    """The body of a step, and the msgids of its requests in order.

    The requests of `send` are numbered from 1. VectorError when `send` and `bytes` are both given
    and do not agree.
    """
    encoded = b""
    msgids: List[int] = []
    for item in step.get("send", []):
        if "raw" in item:
            encoded += bytes.fromhex(item["raw"]) * item.get("times", 1)
        elif "notify" in item:
            encoded += wire.encode_array([wire.encode_int(2), scope.encode(item["notify"]),
                                          scope.encode(item["params"])])
        else:
            for index in range(item.get("numbered", item.get("times", 1))):
                msgid = item.get("msgid", len(msgids) + 1)
                msgids.append(msgid)
                params = item["params"]
                if "numbered" in item:
                    params = [_numbered(params[0], index), *params[1:]]
                encoded += wire.encode_array([wire.encode_int(0), wire.encode_int(msgid),
                                              scope.encode(item["call"]), scope.encode(params)])
    if "bytes" in step:
        given = bytes.fromhex(step["bytes"])
        _require("send" not in step or given == encoded,
                 f"bytes are {given.hex()}, send makes {encoded.hex()}")
        encoded = given
    return encoded, msgids


def next_page(step: Dict[str, Any], cursor: wire.Item) -> Dict[str, Any]:
    """The step again, for the page behind `cursor`: its only call with this cursor as option."""
    call = step["send"][0]
    *params, options = call["params"]
    options = {**options, "cursor": {"$raw": cursor.raw.hex()}}
    return {**step, "send": [{**call, "params": [*params, options]}]}


def join_pages(bodies: Sequence[bytes]) -> bytes:
    """One response out of those of all pages: the last one, with the elements of all of them."""
    elements: Dict[bytes, List[bytes]] = {}
    for body in bodies:
        result = wire.decode_all(body)[0].value[3]
        for name, field in result.value:
            if field.kind == "array":
                elements.setdefault(name.value, []).extend(item.raw for item in field.value)
    response = wire.decode_all(bodies[-1])[0]
    pairs = [(name.raw, field.raw if field.kind != "array"
              else wire.encode_array(elements[name.value])) for name, field in
             response.value[3].value if name.value != b"status"]
    status = b"found" if elements[b"keys"] else b"not_found"
    pairs.append((wire.encode_str(b"status"), wire.encode_str(status)))
    return wire.encode_array([*(item.raw for item in response.value[:3]), wire.encode_map(pairs)])


def match_responses(scope: Scope, expected: Sequence[Dict[str, Any]], msgids: Sequence[int],
                    body: bytes) -> None:
    """Matches a reply body against the `expect` of a step.

    A response that names no msgid answers the request at its place.
    """
    items = wire.decode_all(body)
    patterns = [pattern for pattern in expected for _ in range(pattern.get("times", 1))]
    if len(items) != len(patterns):
        raise Mismatch(f"{len(patterns)} responses expected, got {len(items)}: "
                       f"{_short([item.to_python() for item in items])}")
    for index, (pattern, item) in enumerate(zip(patterns, items)):
        where = f"response {index}"
        _expect(item.kind == "array" and len(item.value) == 4 and item.value[0].value == 1, where,
                "[1, msgid, error, result]", item)
        _, msgid, error, result = item.value
        wanted_msgid = pattern.get("msgid", msgids[index] if index < len(msgids) else 0)
        _expect(msgid.kind == "int" and msgid.value == wanted_msgid, f"{where} msgid",
                str(wanted_msgid), msgid)
        _match_response(scope, pattern, error, result, where)


def _match_response(scope: Scope, pattern: Dict[str, Any], error: wire.Item, result: wire.Item,
                    where: str) -> None:
    if "one_of" in pattern:
        reasons = []
        for choice in pattern["one_of"]:
            try:
                _match_response(scope, choice, error, result, where)
                return
            except Mismatch as reason:
                reasons.append(str(reason))
        raise Mismatch(f"{where}: none of the choices fits: " + "; ".join(reasons))
    if "error" in pattern:
        _expect(result.kind == "nil", f"{where} result", "nil", result)
        scope.match_fields(pattern["error"], error, f"{where} error")
        for name in ("code", "message", "retry"):
            _expect(error.field(name) is not None, f"{where} error.{name}", "a field", error)
        return
    _expect(error.kind == "nil", f"{where} error", "nil", error)
    scope.match_fields(pattern["result"], result, f"{where} result")
