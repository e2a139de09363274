"""The session of docs/PROTOCOL.md, section 12: its bytes are right, and a server answers so."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any, List, Tuple

import pytest

from harness import vectors
from harness import wire
from harness.peer import Peer
from harness.server import start_server

DOCUMENT = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "PROTOCOL.md").read_text()

# "> [array]" from the client or "< [array]" from the server, and lines of hex below.
EXAMPLE = re.compile(r"^    ([<>]) (\[.*\])\n((?:      (?:[0-9a-f]{2} ?)+\n)+)", re.MULTILINE)


def examples() -> List[Tuple[str, Any, bytes]]:
    """Direction, content and bytes of each example, in order."""
    return [(direction, json.loads(re.sub(r"\bnil\b", "null", readable)), bytes.fromhex(encoded))
            for direction, readable, encoded in EXAMPLE.findall(DOCUMENT)]


def test_every_example_is_read() -> None:
    assert len(examples()) == len(re.findall(r"^    [<>] ", DOCUMENT, re.MULTILINE)) >= 10


@pytest.mark.parametrize("example", examples(), ids=lambda example: example[2].hex()[:20])
def test_the_bytes_are_right(example: Tuple[str, Any, bytes]) -> None:
    _, content, encoded = example
    assert vectors.Scope("").encode(content) == encoded


def content_of(response: List[Any]) -> List[Any]:
    """A response without the text that is for people."""
    _, msgid, error, result = response
    if error is not None:
        error = {name: value for name, value in error.items() if name != "message"}
    return [1, msgid, error, result]


def test_a_new_server_answers_as_the_session_says() -> None:
    with start_server() as server, Peer(server.endpoint) as peer:
        body = b""
        for direction, content, encoded in examples():
            if direction == ">":
                body += encoded
                continue
            peer.send(body)
            body = b""
            answers = [item.to_python() for item in wire.decode_all(peer.receive()[-1])]
            assert [content_of(answer) for answer in answers] == [content_of(content)]
