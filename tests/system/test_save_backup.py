"""`save` and `backup` of a running server, and the tools backup and restore."""

from __future__ import annotations

import pathlib
import threading
from typing import Any, Dict, List

import pytest

from harness.disk import (contents, fill, flip_bit, kill, refused_start, run_tool, segments,
                          session_of, snapshots, start_durable)
from harness.peer import CallError, Peer, request
from harness.server import start_server, wait_until

TIMEOUT_S = 60


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data"


def restore(backup: pathlib.Path, folder: pathlib.Path) -> None:
    finished = run_tool("restore", str(backup), str(folder))
    assert finished.returncode == 0, finished
    assert run_tool("verify", str(folder)).returncode == 0


def files_of(folder: pathlib.Path) -> Dict[str, bytes]:
    """All but the lock, which every tool makes."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


# ---- save ---------------------------------------------------------------------------------------


def test_save_is_answered_when_the_snapshot_is_there(data: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert {"save", "backup"} <= set(peer.call("hello")["features"])
        fill(peer)
        last = peer.call("set", "last", 1)["version"]
        saved = peer.call("save")
        assert saved == {"version": last}
        assert [path.name for path in snapshots(data)] == [f"{last:016x}.snapshot"]
        before = contents(peer)
        kill(server)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert contents(peer) == before


def test_a_save_has_what_its_peer_wrote_before(data: pathlib.Path) -> None:
    """Also when it comes while another snapshot is written, and in the middle of a body."""
    with start_durable(data) as server:
        peers = [Peer(server.endpoint) for _ in range(8)]
        wrong: List[Any] = []

        def write_and_save(number: int, peer: Peer) -> None:
            for count in range(5):
                written, saved, read = peer.call_all(
                    [("set", f"key {number}", count), ("save",), ("get", f"key {number}")])
                if saved["version"] < written["version"] or read["value"] != count:
                    wrong.append((number, written, saved, read))

        threads = [threading.Thread(target=write_and_save, args=pair) for pair in enumerate(peers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()
        assert wrong == []
        for peer in peers:
            peer.close()
        assert len(snapshots(data)) == 1
        assert server.stop() == 0


@pytest.mark.parametrize("method,params", [("save", []), ("backup", ["/tmp/nowhere"])])
def test_a_server_in_memory_has_neither(method: str, params: List[Any]) -> None:
    with start_server() as server, Peer(server.endpoint) as peer:
        assert method not in peer.call("hello")["features"]
        with pytest.raises(CallError, match="--data none") as refused:
            peer.call(method, *params)
        assert refused.value.code == "unknown_method"
        assert refused.value.error["retry"] == "never"


# ---- backup -------------------------------------------------------------------------------------


def test_a_backup_beside_writers_is_one_state(data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Every change up to its revision and none behind: of writes that follow each other in one
    connection it has the first ones, and of a pair that changes together both or none."""
    stop = threading.Event()
    written: Dict[int, int] = {}

    with start_durable(data) as server:

        def write() -> None:
            with Peer(server.endpoint) as peer:
                count = 0
                while not stop.is_set():
                    count += 1
                    done = peer.call("transact", {"then": [["set", ["left", count]],
                                                           ["set", ["right", count]]]})
                    written[done["version"]] = count

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with Peer(server.endpoint) as peer:
                session = session_of(peer)
                peer.call("increment", "sum", 7, {"once": [session, 1, 0]})
                wait_until(lambda: len(written) > 50, "writes", TIMEOUT_S)
                version = peer.call("backup", str(tmp_path / "backup"))["version"]
                behind = len(written)
                wait_until(lambda: len(written) > behind + 50, "more writes", TIMEOUT_S)
                history = peer.call("hello")["history"]
        finally:
            stop.set()
            writer.join(TIMEOUT_S)
        kill(server)
    assert run_tool("verify", str(tmp_path / "backup")).returncode == 0
    restore(tmp_path / "backup", tmp_path / "restored")
    with start_durable(tmp_path / "restored") as server, Peer(server.endpoint) as peer:
        found = contents(peer)
        assert found["left"][0] == found["right"][0]
        newest = max(revision for revision in written if revision <= version)
        assert found["left"] == (written[newest], newest)
        greeting = peer.call("hello")
        assert greeting["history"] != history
        assert greeting["version"] == version
        again = peer.call("increment", "sum", 7, {"once": [session, 1, 0]})
        assert (again["value"], again["replayed"]) == (7, True)
        assert peer.call("set", "next", 1)["version"] == version + 1
        assert server.stop() == 0


def test_a_backup_is_restored_by_the_tool_only(data: pathlib.Path,
                                               tmp_path: pathlib.Path) -> None:
    backup = tmp_path / "backup"
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        peer.call("backup", str(backup) + "/")
        assert server.stop() == 0
    status, words = refused_start(backup)
    assert status == 2 and "restore" in words, words
    before = files_of(backup)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        # Nothing that is there is written over.
        for taken in (str(backup), str(data)):
            with pytest.raises(CallError, match="not empty") as refused:
                peer.call("backup", taken)
            assert refused.value.code == "invalid_argument"
        for wrong in ("relative", 5, b"/bytes"):
            with pytest.raises(CallError) as refused:
                peer.call("backup", wrong)
            assert refused.value.code == "invalid_argument"
        with pytest.raises(CallError, match="No such file"):
            peer.call("backup", str(tmp_path / "missing" / "backup"))
        assert run_tool("restore", str(backup), str(data)).returncode == 1
        assert run_tool("backup", str(data), str(tmp_path / "other")).returncode == 1
        assert server.stop() == 0
    assert files_of(backup) == before


def test_the_tool_backs_up_a_stopped_folder(data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        fill(peer)
        peer.call("save")
        peer.call("delete", "key 0")
        before = contents(peer)
        kill(server)
    made = run_tool("backup", str(data), str(tmp_path / "backup"))
    assert made.returncode == 0 and "201" in made.stdout, made
    assert run_tool("backup", str(data), str(tmp_path / "backup")).returncode == 1
    restore(tmp_path / "backup", tmp_path / "restored")
    with start_durable(tmp_path / "restored") as server, Peer(server.endpoint) as peer:
        assert contents(peer) == before
        assert server.stop() == 0
    # A damaged one is not restored.
    flip_bit(tmp_path / "backup" / "stopped", 40)
    damaged = run_tool("restore", str(tmp_path / "backup"), str(tmp_path / "never"))
    assert damaged.returncode == 3 and "stopped" in damaged.stderr, damaged
    assert not (tmp_path / "never").exists()


def test_the_tools_say_how_they_are_called() -> None:
    for arguments in (["backup", "DIR"], ["restore", "DIR"], ["restore", "a", "b", "c"],
                      ["backup", "a", "b", "--dry-run"]):
        finished = run_tool(*arguments)
        assert finished.returncode == 2, (arguments, finished)
        assert "DIR" in finished.stderr and finished.stdout == ""


# ---- what is kept of the log --------------------------------------------------------------------

MIB = 1 << 20
# A segment is 64 MiB long (docs/FORMAT.md).
WRITES_OF_A_SEGMENT = 80


def write_segments(peer: Peer, count: int) -> None:
    for number in range(count * WRITES_OF_A_SEGMENT):
        peer.call("set", f"big {number % 10}", b"x" * MIB)


@pytest.mark.parametrize("options,kept", [
    (["--log-keep-bytes", "0"], False),
    (["--log-keep-bytes", "1GiB", "--log-keep-time", "1s"], False),
    ([], True),
], ids=["no bytes", "no time", "default"])
def test_the_log_behind_a_snapshot_is_kept_as_told(data: pathlib.Path, options: List[str],
                                                   kept: bool) -> None:
    with start_durable(data, ["--sync", "never", *options]) as server:
        with Peer(server.endpoint) as peer:
            write_segments(peer, 2)
            saved = peer.call("save")["version"]
            peer.call("set", "behind", "the snapshot")
            if kept:
                assert peer.call("stats")["log_oldest"] == 0
                assert len(segments(data)) >= 3
            else:
                wait_until(lambda: peer.call("stats")["log_oldest"] > 0, "old log goes", TIMEOUT_S)
                assert peer.call("stats")["log_oldest"] <= saved
                assert segments(data)[0].name != f"{1:016x}.log"
            before = contents(peer)
        kill(server)
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        assert contents(peer) == before
        assert server.stop() == 0


# ---- memory -------------------------------------------------------------------------------------


def test_a_snapshot_takes_no_copy_of_the_store(data: pathlib.Path) -> None:
    """Beside writers too: what they replace meanwhile is freed meanwhile."""
    with start_durable(data, ["--sync", "never"]) as server, Peer(server.endpoint) as peer:
        for start in range(0, 200_000, 2_000):
            peer.call_all([("set", f"key {number}", "x" * 1000)
                           for number in range(start, start + 2_000)])
        peer.call("save")  # Also what the first one needs for itself is there before.
        before = server.resident_bytes()
        assert before > 200 * MIB
        highest = before
        with Peer(server.endpoint) as saver:
            saver.send(request(1, "save"))
            while not saver.has_message():
                peer.call_all([("set", f"key {number}", "y" * 1000) for number in range(100)])
                highest = max(highest, server.resident_bytes())
        assert highest <= 1.1 * before, (before, highest)
        print(f"resident memory {before / MIB:.0f} MiB, while a snapshot is written at most "
              f"{highest / before:.2f} times that")
        assert server.stop() == 0
