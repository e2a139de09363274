"""What a damaged data folder does to a start, and the tools verify, repair and dump."""

from __future__ import annotations

import pathlib

import pytest

from harness.disk import (SEGMENT_HEADER_BYTES, contents, dumped_records, fill, flip_bit, kill,
                          refused_start, run_tool, segments, session_of, start_durable,
                          take_snapshot)
from harness.peer import Peer


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data"


# ---- torn and damaged ---------------------------------------------------------------------------


def test_a_torn_tail_is_cut_and_said(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        kill(server)
    changes = [line for line in dumped_records(data) if line["type"] == "change"]
    last = changes[-1]
    # The last group is as a power cut may leave it: its last record never reached the disk.
    flip_bit(data / last["segment"], last["offset"] + 40)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert "cut" in server.log(), server.log()
        found = contents(peer)
        assert len(found) < 200
        assert all(found[f"key {number}"][0] == f"value {number}" for number in range(len(found)))
        # What was cut keeps its revision: it is not given to another change.
        assert peer.call("set", "next", 1)["version"] > last["revision"]


def test_damage_refuses_the_start_and_is_named(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        assert server.stop() == 0
    middle = next(line for line in dumped_records(data) if line["revision"] == 100)
    flip_bit(data / middle["segment"], middle["offset"] + 40)
    status, words = refused_start(data)
    assert status == 1
    assert middle["segment"] in words and str(middle["offset"]) in words, words
    assert "99" in words or "100" in words, words
    # It is refused as long as nobody repairs it, and nothing was changed meanwhile.
    assert refused_start(data)[0] == 1


def test_each_flipped_bit_of_a_stopped_folder_is_found(data: pathlib.Path) -> None:
    """A sample of all files; the tests of the log itself flip every byte."""
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer, 20)
        take_snapshot(server, peer)
        peer.call("set", "behind", "the snapshot")
        assert server.stop() == 0
    assert run_tool("verify", str(data)).returncode == 0
    files = [path for path in data.iterdir() if path.stat().st_size > 0]
    assert len(files) >= 4
    for path in files:
        size = path.stat().st_size
        for offset in sorted({0, 20, size // 3, size // 2, size - 1}):
            flip_bit(path, offset)
            checked = run_tool("verify", str(data))
            assert checked.returncode == 3, (path.name, offset, checked)
            assert path.name in checked.stdout, (path.name, offset, checked)
            flip_bit(path, offset)
    assert run_tool("verify", str(data)).returncode == 0


# ---- tools --------------------------------------------------------------------------------------


def test_tools_say_how_they_are_called() -> None:
    for arguments in (["verify"], ["repair", "--dry-run"], ["dump", "a", "b"],
                      ["verify", "a", "--dry-run"]):
        finished = run_tool(*arguments)
        assert finished.returncode == 2, (arguments, finished)
        assert "DIR" in finished.stderr and finished.stdout == ""


@pytest.mark.parametrize("tool", ["verify", "repair", "dump"])
def test_tools_refuse_what_is_no_data_folder(tool: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "missing"):
        finished = run_tool(tool, str(folder))
        assert finished.returncode == 1, finished
        assert str(folder) in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_dump_tells_each_change(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        session = session_of(peer)
        peer.call("set", 'a "key"', 5)
        peer.call("set", b"\xff\x00", "x", {"ttl_ms": 3_600_000})
        peer.call("increment", "sum", 2, {"once": [session, 1, 0]})
        peer.call("delete", 'a "key"')
        peer.call("transact", {"then": [["set", ["a", 1]], ["set", ["b", 2]]]})
        assert server.stop() == 0
    lines = dumped_records(data)
    changes = [line for line in lines if line["type"] == "change"]
    assert [line["revision"] for line in changes] == [1, 2, 3, 4, 5]
    first, second, third, fourth, fifth = changes
    assert first["changes"] == [{"op": "set", "cause": "client", "key": 'a "key"',
                                 "previous_version": 0, "value_hex": "05"}]
    assert second["changes"][0]["key_hex"] == "ff00"
    assert second["changes"][0]["expires_at_ms"] > second["time_ms"]
    assert third["outcome"]["session"] == session and third["outcome"]["status"] == "created"
    assert fourth["changes"][0]["op"] == "delete" and fourth["changes"][0]["previous_version"] == 1
    assert [change["cause"] for change in fifth["changes"]] == ["transaction"] * 2
    assert {line["type"] for line in lines} >= {"session", "group", "ceiling", "change"}


def test_repair_makes_a_damaged_folder_start(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        history = peer.call("hello")["history"]
        assert server.stop() == 0
    unharmed = run_tool("repair", str(data))
    assert unharmed.returncode == 0 and "needs no repair" in unharmed.stdout
    middle = next(line for line in dumped_records(data) if line["revision"] == 100)
    flip_bit(data / middle["segment"], middle["offset"] + 40)
    before = {path.name: path.read_bytes() for path in data.iterdir()}

    planned = run_tool("repair", str(data) + "/", "--dry-run")
    assert planned.returncode == 3 and "would: " in planned.stdout, planned
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    assert run_tool("dump", str(data)).returncode == 3

    repaired = run_tool("repair", str(data))
    assert repaired.returncode == 0 and "did: " in repaired.stdout, repaired
    copy = data.with_name("data.before-repair")
    assert str(copy) in repaired.stdout
    kept = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert kept == {name: content for name, content in before.items() if name != "lock"}
    assert run_tool("verify", str(data)).returncode == 0
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        found = contents(peer)
        assert len(found) == 99 and found["key 98"] == ("value 98", 99)
        assert peer.call("hello")["history"] == history
        assert peer.call("set", "next", 1)["version"] > 200
        assert server.stop() == 0

    # A copy is never written over.
    flip_bit(segments(data)[0], SEGMENT_HEADER_BYTES + 40)
    assert run_tool("repair", str(data)).returncode == 1
