"""Bytes that come back as they went in: 10 MB at random, exports, and Debian's packages."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
from typing import Dict

import msgpack
import pytest
from conftest import CommandLine
from harness.peer import Peer
from harness.server import Server


def test_ten_megabytes_of_random_bytes(entrepot: CommandLine, tmp_path: pathlib.Path) -> None:
    content = os.urandom(10_000_000)
    file = tmp_path / "random"
    file.write_bytes(content)
    assert entrepot("set", "random", f"@{file}").status == 0
    assert entrepot("set", "random-stdin", "-", stdin=content).status == 0
    checksum = hashlib.sha256(content).hexdigest()
    for key in ("random", "random-stdin"):
        assert hashlib.sha256(entrepot("get", key).out).hexdigest() == checksum


# Each by its encoding: also those that JSON cannot say, and unusual encodings.
VALUES = ["c0", "c3", "00", "ff", "cf8000000000000000", "d3ffffffffffffffff", "cd0005",
          "ca3fc00000", "cb3ff0000000000000", "cb7ff8000000000000", "cb7ff0000000000000",
          "cbfff0000000000000", "cb8000000000000000", "a0", "a2c3a9", "a1ff", "c400", "c40200ff",
          "d6ff00000001", "d40500", "c70005", "9300c3c0", "80", "81a16101", "810102",
          "82a16101a16102", "81a42462696ea441413d3d", "dc000101"]


def _store(server: Server, values: Dict[str, bytes]) -> None:
    with Peer(server.endpoint) as peer:
        for key, encoded in values.items():
            body = (b"\x94\x00\x01" + msgpack.packb("set") + b"\x92" + msgpack.packb(key) + encoded)
            peer.send(body)
            peer.receive()


def _stored(server: Server, key: str) -> bytes:
    """The encoding of a value: what stands behind the field's name in the response."""
    with Peer(server.endpoint) as peer:
        peer.send(msgpack.packb([0, 1, "get_many", [[key]]]))
        body = peer.receive()[-1]
    begin = body.index(b"\xa5items") + len(b"\xa5items") + 2
    unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
    unpacker.feed(body[begin:])
    unpacker.skip()
    return body[begin:begin + unpacker.tell()]


def test_an_export_is_exact(entrepot: CommandLine, server: Server, tmp_path: pathlib.Path) -> None:
    values = {f"v:{number:02}": bytes.fromhex(text) for number, text in enumerate(VALUES)}
    _store(server, values)
    file = tmp_path / "all.jsonl"
    assert entrepot("export", "--file", str(file)).status == 0
    assert len(file.read_text().splitlines()) == len(values)
    entrepot("del", "--prefix", "")
    assert entrepot("import", str(file)).text == f"imported\t{len(values)}\n"
    for key, encoded in values.items():
        assert _stored(server, key) == encoded, (key, encoded.hex())


def test_ttls_travel_when_asked_for(entrepot: CommandLine) -> None:
    entrepot("set", "a", "1", "--ttl", "1h")
    entrepot("set", "b", "2")
    plain = [json.loads(line) for line in entrepot("export").text.splitlines()]
    assert all("ttl_ms" not in entry for entry in plain)
    exported = entrepot("export", "--ttl").out
    entrepot("del", "--prefix", "")
    entrepot("import", "-", stdin=exported)
    assert 0 < json.loads(entrepot("-o", "json", "get", "a").text)["ttl_ms"] <= 3_600_000
    assert "ttl_ms" not in entrepot("-o", "json", "get", "b").text
    entrepot("import", "--ttl", "1m", "--prefix", "p:", stdin=b'{"key":"a","value":1}\n')
    assert json.loads(entrepot("-o", "json", "get", "p:a").text)["ttl_ms"] <= 60_000


def test_csv_there_and_back(entrepot: CommandLine) -> None:
    table = b'name,value,key\r\nx,"two\nlines, ""quoted""",a\r\ny,plain,b\r\n'
    assert entrepot("import", "--format", "csv", stdin=table).text == "imported\t2\n"
    assert entrepot("get", "a").text == 'two\nlines, "quoted"'
    exported = entrepot("export", "--format", "csv").out
    entrepot("del", "--prefix", "")
    assert entrepot("import", "--format", "csv", stdin=exported).status == 0
    assert entrepot("get", "a").text == 'two\nlines, "quoted"'


@pytest.mark.parametrize("words, content, complaint", [
    ([], b'{"key":"a","value":1}\n\nnonsense\n', "line 3: "),
    ([], b'{"key":"a"}\n', "line 1: "),
    ([], b'{"key":5,"value":1}\n', "line 1: the key is no string"),
    ([], b'{"key":"a","value":1,"ttl_ms":0}\n', "line 1: ttl_ms"),
    ([], b'{"key":"a","value":1}\n{"key":"$a","value":1}\n', "line 2: denied"),
    (["--format", "csv"], b"key\nx\n", "line 1: the header"),
    (["--format", "csv"], b"key,value\na,b\nc\n", "line 3: the header has 2 fields"),
    (["--format", "csv"], b'key,value\na,"b\n', "line 2: a quote"),
])
def test_a_wrong_line_is_named(entrepot: CommandLine, words, content: bytes,
                               complaint: str) -> None:
    ran = entrepot("import", *words, stdin=content)
    assert ran.status == 1
    assert f"entrepot: {complaint}" in ran.error


def _packages() -> Dict[str, str]:
    """Debian's packages with their descriptions, as apt or dpkg know them."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    text = text or pathlib.Path("/var/lib/dpkg/status").read_text()
    packages = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("Package: "):
            name = line.split(" ", 1)[1]
        if line.startswith(("Description: ", "Description-en: ")):
            packages[name] = line.split(" ", 1)[1]
    return packages


def test_the_packages_of_debian(entrepot: CommandLine) -> None:
    packages = _packages()
    lines = [json.dumps({"key": f"package:{name}", "value": text})
             for name, text in packages.items()]
    ran = entrepot("import", stdin="\n".join(lines).encode())
    assert ran.text == f"imported\t{len(packages)}\n", ran.error
    exported = entrepot("export", "package:").text.splitlines()
    back = {entry["key"][len("package:"):]: entry["value"] for entry in map(json.loads, exported)}
    assert back == packages
    wanted = sorted(f"package:{name}" for name, text in packages.items() if text.startswith("GNU "))
    assert sorted(entrepot("find", "GNU ", "--keys").text.splitlines()) == wanted
