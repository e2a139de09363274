"""A server that keeps its data: stop and start, crash, safe retries, full disk, whose folder."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterator, List

import pytest

from harness.disk import (NotAllowedHere, contents, fill, kill, launch_durable, refused_start,
                          run_tool, session_of, small_disk, snapshots, start_durable,
                          take_snapshot)
from harness.peer import CallError, Peer, request, responses
from harness.server import binary, wait_until

TIMEOUT_S = 60
SYNC_SETTINGS = ["always", "50ms", "never"]
# Three segments of the log and the room it keeps for what it has accepted.
SMALL_DISK_BYTES = 400 << 20
NOBODY = 65534
# Starts until one is met before it has read its data: a busy machine may run the server first.
STARTS_MAX = 20


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data"


# ---- stop and start -----------------------------------------------------------------------------


@pytest.mark.parametrize("sync", SYNC_SETTINGS)
@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_what_was_acknowledged_is_there_after_the_next_start(data: pathlib.Path, sync: str,
                                                             crash: bool) -> None:
    """A kill of the process loses nothing whatever --sync says: the machine still runs."""
    with start_durable(data, ["--sync", sync]) as server, Peer(server.endpoint) as peer:
        assert peer.call("hello")["sync"] == sync
        fill(peer)
        peer.call("set", "long", "lived", {"ttl_ms": 3_600_000})
        peer.call("touch", "key 1", 3_600_000)
        peer.call("delete", "key 0")
        peer.call("append", "key 2", " and more")
        peer.call("transact", {"then": [["set", ["both", 1]], ["increment", ["sum", 5]]]})
        peer.call("set", "short", "lived", {"ttl_ms": 1})
        # Its removal takes a revision of its own.
        wait_until(lambda: peer.call("stats")["expired_entries"] == 1, "expiry", TIMEOUT_S)
        before = contents(peer)
        history = peer.call("hello")["history"]
        last = peer.call("set", "last", 1)["version"]
        before["last"] = (1, last)
        if crash:
            kill(server)
        else:
            assert server.stop() == 0
    with start_durable(data, ["--sync", sync]) as server, Peer(server.endpoint) as peer:
        assert contents(peer) == before
        assert 0 < peer.call("get", "long")["ttl_ms"] <= 3_600_000
        assert 0 < peer.call("get", "key 1")["ttl_ms"] <= 3_600_000
        greeting = peer.call("hello")
        assert greeting["history"] == history
        assert greeting["version"] >= last
        next_version = peer.call("set", "next", 1)["version"]
        # After a clean stop the revisions go on without a hole, after a crash above all given ones.
        assert next_version > last if crash else next_version == last + 1
        assert server.stop() == 0


def test_a_snapshot_and_the_log_behind_it_make_the_store(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        session = session_of(peer)
        assert peer.call("increment", "sum", 7, {"once": [session, 1, 0]})["value"] == 7
        peer.call("set", "between", 1)
        take_snapshot(server, peer)
        assert len(snapshots(data)) == 1
        # Remembered by the snapshot is the first increment, by the log behind it the second.
        assert peer.call("increment", "sum", 5, {"once": [session, 2, 0]})["value"] == 12
        peer.call_all([("delete", f"key {number}") for number in range(50)])
        peer.call("set", "key 60", "changed")
        before = contents(peer)
        kill(server)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert contents(peer) == before
        assert peer.call("stats")["recovered_items"] > 0
        for number, by, value in [(1, 7, 7), (2, 5, 12)]:
            again = peer.call("increment", "sum", by, {"once": [session, number, 0]})
            assert (again["value"], again.get("replayed")) == (value, True)
        assert peer.call("get", "sum")["value"] == 12


@pytest.mark.parametrize("ack", ["applied", "durable"])
@pytest.mark.parametrize("sync", SYNC_SETTINGS)
def test_ack_decides_what_a_reply_waits_for(data: pathlib.Path, sync: str, ack: str) -> None:
    with start_durable(data, ["--sync", sync]) as server, Peer(server.endpoint) as peer:
        assert peer.call("set", "key", 1, {"ack": ack})["status"] == "created"
        assert peer.call("get", "key", {"ack": ack})["value"] == 1
        assert peer.call("sync")["version"] >= 1
        kill(server)
    with start_durable(data, ["--sync", sync]) as server, Peer(server.endpoint) as peer:
        assert peer.call("get", "key")["value"] == 1


def test_hello_tells_durable_revisions_only(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        version = peer.call("set", "key", 1)["version"]
        assert peer.call("hello")["version"] >= version


# ---- safe retries -------------------------------------------------------------------------------

ONCE_CASES: List[Any] = [
    ("set", ["key", "new"]), ("increment", ["sum", 3]), ("append", ["text", "abc"]),
    ("delete", ["key"]), ("delete", ["absent"]), ("touch", ["absent", 1000]),
    ("set", ["key", "new", {"if_absent": True}]), ("transact", [{"then": [["set", ["a", 1]]]}]),
    ("transact", [{"if": [["key", "exists", "=", False]], "then": [["set", ["a", 1]]]}]),
    ("delete_prefix", ["pre"]),
]


def with_once(params: List[Any], once: List[Any]) -> List[Any]:
    *fixed, last = params
    if isinstance(last, dict) and not ({"then", "if"} & set(last)):
        return [*fixed, {**last, "once": once}]
    return [*params, {"once": once}]


def test_every_outcome_is_replayed_after_a_crash(data: pathlib.Path) -> None:
    """Also that of a write that changed nothing, and told only when it was in the log."""
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        peer.call_all([("set", "key", "old"), ("set", "pre 1", 1), ("set", "pre 2", 1)])
    for number, (method, params) in enumerate(ONCE_CASES, start=1):
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            session = session_of(peer)
            first = peer.call(method, *with_once(params, [session, 1, 0]))
            kill(server)
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            before = contents(peer)
            again = peer.call(method, *with_once(params, [session, 1, 0]))
            assert again.get("replayed") is True, (number, method, params, first, again)
            for field in ("status", "version", "value", "length", "deleted", "more"):
                if field in again:
                    assert again[field] == first[field], (method, field, first, again)
            assert contents(peer) == before
            kill(server)


def test_a_session_told_is_known_after_a_crash(data: pathlib.Path) -> None:
    """The reply to `hello` waits for the session's record, though it takes no revision."""
    for round_number in range(10):
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            peer.call("set", "key", round_number)
            session = session_of(peer)
            kill(server)
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            assert peer.call("increment", "sum", 1, {"once": [session, 1, 0]})["value"] \
                == round_number + 1
            kill(server)


def test_an_outcome_told_is_known_after_a_crash(data: pathlib.Path) -> None:
    """The same for the outcome of a write that changed nothing."""
    for round_number in range(10):
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            session = session_of(peer)
            peer.call("set", "key", round_number)
            assert peer.call("delete", "absent", {"once": [session, 1, 0]})["status"] == "not_found"
            kill(server)
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            again = peer.call("delete", "absent", {"once": [session, 1, 0]})
            assert again.get("replayed") is True, (round_number, again)
            kill(server)


# ---- while it starts ----------------------------------------------------------------------------


def test_while_recovering_only_some_methods_answer(data: pathlib.Path) -> None:
    with start_durable(data, ["--sync", "never"]) as server, Peer(server.endpoint) as peer:
        value = "x" * 100
        for start in range(0, 300_000, 10_000):
            peer.call_all([("set", f"key {number}", value)
                           for number in range(start, start + 10_000)])
        assert server.stop() == 0
    methods = ["ping", "hello", "stats", "get", "sync"]
    params: Dict[str, List[Any]] = {"get": ["key 1"]}
    body = b"".join(request(number, method, *params.get(method, []))
                    for number, method in enumerate(methods))
    for _ in range(STARTS_MAX):
        with launch_durable(data, listen="ipc://{folder}/requests") as server:
            with Peer(f"ipc://{server.folder}/requests") as peer:
                peer.send(body)
                ping, hello, stats, get, sync = responses(peer.receive()[-1])
                assert [ping[2], hello[2], stats[2]] == [None, None, None]
                assert peer.call_when_ready("get", "key 1")["value"] == value
                assert peer.call("stats")["ready"] == 1
                server.wait_until_ready()
                assert server.stop() == 0
        if sync[2] is not None:
            break
    else:
        pytest.fail("each start was over before it could be asked")
    assert stats[3]["ready"] == 0
    assert "recovered_items" in stats[3]
    for refused in (get, sync):
        assert refused[2]["code"] == "unavailable", refused
        assert refused[2]["retry"] == "later"
        assert refused[2]["retry_after_ms"] > 0


def test_a_start_is_broken_off_by_a_signal(data: pathlib.Path) -> None:
    count = 300_000
    with start_durable(data, ["--sync", "never"]) as server, Peer(server.endpoint) as peer:
        for start in range(0, count, 10_000):
            peer.call_all([("set", f"key {number}", "x" * 100)
                           for number in range(start, start + 10_000)])
        assert server.stop() == 0
    for _ in range(STARTS_MAX):
        with launch_durable(data, listen="ipc://{folder}/requests") as server:
            with Peer(f"ipc://{server.folder}/requests") as peer:
                assert peer.call("ping") is not None
            assert server.stop() == 0
            if "while the data was read" in server.log():
                break
    else:
        pytest.fail("each start was over before the signal came")
    # It is a clean stop: no revision is left out, nothing is missing.
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert "cleanly stopped" in server.log()
        assert peer.call("stats")["entries"] == count
        assert peer.call("set", "next", 1)["version"] == count + 1


def test_indexes_in_use_are_built_at_start(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        assert len(peer.call_when_ready("find", "value 1", {"limit": 1000})["keys"]) == 111
        take_snapshot(server, peer)
        kill(server)
    for _ in range(2):  # From the snapshot, and once more.
        with start_durable(data) as server, Peer(server.endpoint) as peer:
            peer.call("set", "another", "value 1000")
            assert len(peer.call_when_ready("find", "value 1", {"limit": 1000})["keys"]) == 112
            kill(server)


# ---- whose folder -------------------------------------------------------------------------------


def test_a_second_server_on_the_folder_is_refused(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        status, words = refused_start(data)
        assert status == 1
        assert str(data) in words and re.search(r"in use|lock|another", words), words
        assert peer.call("set", "key", 1)["status"] == "created"
        assert run_tool("verify", str(data)).returncode == 1
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert peer.call("get", "key")["value"] == 1


def test_a_folder_of_someone_else_is_left_alone(data: pathlib.Path) -> None:
    data.mkdir()
    (data / "letter.txt").write_text("mine")
    status, words = refused_start(data)
    assert status in (1, 2)
    assert str(data) in words and "Entrep" in words, words
    assert {path.name for path in data.iterdir()} <= {"letter.txt"}
    assert (data / "letter.txt").read_text() == "mine"


def test_a_folder_whose_parent_is_missing(data: pathlib.Path) -> None:
    status, words = refused_start(data / "below")
    assert status == 1
    assert str(data / "below") in words and "No such file" in words, words


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED LOUDLY: needs root, to become another user")
def test_a_folder_without_permission(tmp_path: pathlib.Path) -> None:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-test-"))
    try:
        program = shutil.copy(binary("entrepot-server"), folder / "server")
        folder.chmod(0o755)
        (folder / "data").mkdir(mode=0o755)
        finished = subprocess.run(
            [program, "--data", str(folder / "data"), "--listen", "tcp://127.0.0.1:0"],
            capture_output=True, text=True, timeout=TIMEOUT_S, cwd="/", user=NOBODY, group=NOBODY,
            extra_groups=[])
        assert finished.returncode == 1, finished
        words = finished.stdout + finished.stderr
        assert str(folder / "data") in words and "Permission denied" in words, words
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("sync", ["sometimes", "-1s", ""])
def test_a_sync_setting_that_cannot_be_meant(data: pathlib.Path, sync: str) -> None:
    status, words = refused_start(data, [f"--sync={sync}"])
    assert status == 2
    assert "sync" in words
    assert not data.exists()


# ---- full disk ----------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    try:
        with small_disk(tmp_path / "disk", SMALL_DISK_BYTES) as folder:
            yield folder
    except NotAllowedHere as reason:
        print(f"SKIPPED LOUDLY: {reason}", file=sys.stderr)
        pytest.skip(str(reason))


def fill_disk(peer: Peer) -> int:
    """Sets `big N` until the disk is full; how many were acknowledged."""
    for number in range(SMALL_DISK_BYTES >> 16):
        try:
            peer.call("set", f"big {number}", b"x" * (64 << 10))
        except CallError as refused:
            assert refused.code == "read_only", refused
            assert refused.error["retry"] == "later"
            return number
    raise AssertionError("the disk did not become full")


def test_a_full_disk_refuses_writes_and_ends_by_itself(disk: pathlib.Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * (SMALL_DISK_BYTES // 4))
    with start_durable(disk / "data") as server, Peer(server.endpoint) as peer:
        count = fill_disk(peer)
        assert count > 0
        assert peer.call("get", "big 0")["status"] == "found"
        for method, params in [("set", ["other", 1]), ("delete", ["big 0"]),
                               ("increment", ["sum", 1])]:
            with pytest.raises(CallError, match="read_only"):
                peer.call(method, *params)
        assert server.is_running()
        ballast.unlink()
        wait_until(lambda: can_write(peer), "room is noticed", TIMEOUT_S)
        kill(server)
    with start_durable(disk / "data") as server, Peer(server.endpoint) as peer:
        sizes = [len(peer.call("get", f"big {number}")["value"]) for number in range(count)]
        assert sizes == [64 << 10] * count
        assert peer.call("get", "room")["value"] == "is there"
        assert peer.call("get", "other")["status"] == "not_found"


def test_a_stop_that_finds_no_room_is_not_taken_for_a_clean_one(disk: pathlib.Path) -> None:
    with start_durable(disk / "data") as server, Peer(server.endpoint) as peer:
        fill(peer)
        with open(disk / "ballast", "wb", buffering=0) as ballast:
            with pytest.raises(OSError, match="No space"):
                while True:
                    ballast.write(b"\0" * 4096)
        assert server.stop() == 1
        assert "not cleanly" in server.log() and "No space" in server.log(), server.log()
    (disk / "ballast").unlink()
    with start_durable(disk / "data") as server, Peer(server.endpoint) as peer:
        assert len(contents(peer)) == 200
        assert server.stop() == 0


def test_a_first_search_on_a_full_disk_is_a_read(disk: pathlib.Path) -> None:
    """Reads go on: also the search that begins to keep an index, which the log is to know."""
    with start_durable(disk / "data") as server, Peer(server.endpoint) as peer:
        fill_disk(peer)
        assert peer.call_when_ready("scan", "big 1", {"limit": 10})["status"] == "found"
        assert peer.call_when_ready("find", "nothing")["status"] == "not_found"


def can_write(peer: Peer) -> bool:
    try:
        peer.call("set", "room", "is there")
    except CallError as refused:
        assert refused.code == "read_only", refused
        return False
    return True
