"""Watch and changes: lines as things happen, into pipes and commands, across a restart."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
from typing import Any, Dict, Iterator, List

from conftest import TIMEOUT_S, CommandLine
from harness.disk import kill, launch_durable, start_durable
from harness.server import binary, wait_until

OK, SERVER_ERROR, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE = range(6)


class Running:
    """A run of the program that goes on; its lines are read as they come."""

    def __init__(self, entrepot: CommandLine, *words: str) -> None:
        self.process = subprocess.Popen([binary("entrepot"), *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=entrepot.environment)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def event(self) -> Dict[str, Any]:
        """The next line of `-o jsonl`."""
        return dict(json.loads(self.line()))

    def error_line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def end(self, signal_number: int) -> int:
        self.process.send_signal(signal_number)
        return self.process.wait(TIMEOUT_S)


@contextlib.contextmanager
def running(entrepot: CommandLine, *words: str) -> Iterator[Running]:
    run = Running(entrepot, *words)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate(timeout=TIMEOUT_S)


def synced(run: Running) -> str:
    """Reads the line that says so; gives the token."""
    kind, token = run.line().rstrip("\n").split("\t")
    assert kind == "synced"
    return token


def test_lines_come_as_things_happen(entrepot: CommandLine) -> None:
    entrepot("set", "a:1", "one\ntwo")
    entrepot("set", "b", "elsewhere")
    with running(entrepot, "watch", "a:") as watch:
        assert watch.line() == "snapshot\ta:1\tone\\ntwo\n"
        synced(watch)
        entrepot("set", "a:2", "[1]", "--json")
        assert watch.line() == "set\ta:2\t[1]\n"
        entrepot("set", "a:2", "x", "--ttl", "1ms")
        assert watch.line() == "set\ta:2\tx\n"
        assert watch.line() == "expired\ta:2\n"
        entrepot("del", "a:1")
        assert watch.line() == "delete\ta:1\n"


def test_jsonl_has_every_field(entrepot: CommandLine) -> None:
    with running(entrepot, "-o", "jsonl", "watch", "--no-snapshot") as watch:
        begin = watch.event()
        assert begin["event"] == "synced"
        history, _ = begin["token"].split(":")
        assert len(history) == 16
        entrepot("set", "a", "1", "--ttl", "1h")
        first = watch.event()
        assert first.pop("expires_at_ms") > 1_600_000_000_000
        version = first.pop("version")
        assert first == {"event": "set", "key": "a", "value": "1", "previous_version": 0,
                         "cause": "client"}
        entrepot("touch", "a", "--permanent")
        touch = watch.event()
        assert (touch["event"], touch["previous_version"]) == ("touch", version)
        assert "value" not in touch and "expires_at_ms" not in touch


def test_a_query_and_a_count(entrepot: CommandLine) -> None:
    entrepot("set", "a", "red")
    entrepot("set", "b", "blue")
    with running(entrepot, "watch", "--query", "re", "--count", "3") as watch:
        assert watch.line() == "snapshot\ta\tred\n"
        synced(watch)
        entrepot("set", "b", "reddish")
        entrepot("set", "a", "green")
        assert watch.line() == "set\tb\treddish\n"
        assert watch.line() == "left\ta\n"
        assert watch.process.wait(TIMEOUT_S) == OK


def test_a_token_goes_on_where_it_was(entrepot: CommandLine) -> None:
    with running(entrepot, "watch", "a", "--no-snapshot") as watch:
        token = synced(watch)
    entrepot("set", "a", "1")
    entrepot("set", "b", "2")
    entrepot("set", "a", "3")
    with running(entrepot, "watch", "a", "--since", token) as watch:
        assert [watch.line() for _ in range(2)] == ["set\ta\t1\n", "set\ta\t3\n"]
        synced(watch)
    changes = entrepot("changes", "a", "--since", token)
    assert changes.status == OK
    lines = changes.text.splitlines()
    assert lines[:2] == ["set\ta\t1", "set\ta\t3"]
    kind, end = lines[2].split("\t")
    assert kind == "synced"
    assert entrepot("changes", "--since", end, "--keys").text == f"synced\t{end}\n"
    assert entrepot("changes").text == f"synced\t{end}\n"


def test_changes_wait_for_the_next_one(entrepot: CommandLine) -> None:
    token = entrepot("changes").text.split()[1]
    with running(entrepot, "-o", "jsonl", "changes", "--since", token, "--wait", "1s") as changes:
        entrepot("set", "a", "1")
        assert changes.event()["key"] == "a"
        assert changes.event()["event"] == "synced", "a second later"
        assert changes.process.wait(TIMEOUT_S) == OK


def test_ctrl_c_ends_it_cleanly(entrepot: CommandLine) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        with running(entrepot, "watch") as watch:
            synced(watch)
            assert watch.end(signal_number) == OK
            assert watch.line() == "" and watch.error_line() == ""


def test_it_ends_with_its_reader(entrepot: CommandLine) -> None:
    """No event has to come for that."""
    entrepot("set", "a", "1")
    ran = subprocess.run(["bash", "-c", '"$0" watch | head -n 1; echo ${PIPESTATUS[0]}',
                          binary("entrepot")], env=entrepot.environment, capture_output=True,
                         text=True, timeout=TIMEOUT_S)
    assert ran.stdout.splitlines()[0] == "snapshot\ta\t1"
    assert ran.stdout.splitlines()[1] in ("0", "141")
    assert ran.stderr == ""


def test_a_command_gets_each_event(entrepot: CommandLine, tmp_path: pathlib.Path) -> None:
    entrepot("set", "a key", "-", stdin=b"\x00\xff\n")
    told = tmp_path / "told"
    script = f'{{ echo "$ENTREPOT_EVENT $ENTREPOT_KEY"; wc -c; }} >> {told}; test "$ENTREPOT_KEY" != b'
    with running(entrepot, "watch", "--exec", script, "--count", "3") as watch:
        wait_until(lambda: told.exists() and told.read_text().endswith("3\n"), "the entry is told",
                   TIMEOUT_S)
        entrepot("set", "b", "value")
        assert watch.error_line() == "entrepot: the command ended with status 1\n"
        entrepot("del", "a key")
        assert watch.process.wait(TIMEOUT_S) == OK
        assert watch.line() == "", "nothing is printed beside"
    assert told.read_text() == "snapshot a key\n3\nset b\n5\ndelete a key\n0\n"


def test_a_command_need_not_read_its_value(entrepot: CommandLine) -> None:
    entrepot("set", "large", "-", stdin=b"x" * 1_000_000)
    with running(entrepot, "watch", "--exec", "echo $ENTREPOT_VERSION", "--count", "1") as watch:
        assert int(watch.line()) > 0
        assert watch.process.wait(TIMEOUT_S) == OK


def test_a_restart_is_survived_and_said(tmp_path: pathlib.Path) -> None:
    first = start_durable(tmp_path / "data")
    endpoint = first.endpoint
    entrepot = CommandLine(endpoint)
    with first, running(entrepot, "-o", "jsonl", "watch") as watch:
        assert watch.event()["event"] == "synced"
        entrepot("set", "a", "before")
        before = watch.event()["version"]
        kill(first)
        with launch_durable(tmp_path / "data", listen=endpoint) as second:
            second.wait_until_ready()
            words = watch.error_line().split()
            assert words[:4] == ["entrepot:", "resumed", "after", "revision"]
            assert int(words[4]) >= before
            assert watch.event()["event"] == "synced"
            entrepot("set", "a", "behind")
            behind = watch.event()
            assert (behind["value"], behind["previous_version"]) == ("behind", before)
            assert watch.end(signal.SIGINT) == OK


def test_save_and_backup(tmp_path: pathlib.Path) -> None:
    with start_durable(tmp_path / "data") as server:
        entrepot = CommandLine(server.endpoint)
        entrepot("set", "a", "1")
        saved = entrepot("save")
        assert (saved.status, saved.error) == (OK, "")
        assert int(saved.text) >= 1
        backed_up = entrepot("-o", "json", "backup", str(tmp_path / "backup"))
        assert backed_up.status == OK, backed_up.error
        assert json.loads(backed_up.text)["version"] >= 1
        assert any((tmp_path / "backup").iterdir())
        again = entrepot("backup", str(tmp_path / "backup"))
        assert again.status == SERVER_ERROR and "invalid_argument" in again.error


def test_mistakes_and_absent_servers(entrepot: CommandLine) -> None:
    token = "0123456789abcdef:5"
    mistakes: List[List[str]] = [
        ["watch", "--since", "yesterday"], ["watch", "--count", "0"],
        ["watch", "--since", token, "--no-snapshot"], ["watch", "--keys", "--exec", "true"],
        ["watch", "--query", "a", "--equals", "b"], ["-o", "csv", "watch"],
        ["-o", "json", "changes"], ["changes", "--wait", "soon"], ["backup"]]
    for words in mistakes:
        ran = entrepot(*words)
        assert ran.status == USAGE and ran.error and not ran.out, (words, ran)
    assert entrepot("-s", "tcp://127.0.0.1:1", "watch").status == UNREACHABLE
    lost = entrepot("changes", "--since", token)
    assert lost.status == SERVER_ERROR and "unknown_history" in lost.error
    # A watch goes on all the same, and says so.
    with running(entrepot, "watch", "--since", token) as watch:
        assert watch.line() == "resync\tunknown_history\n"
        assert watch.error_line() == "entrepot: told from the beginning: unknown_history\n"
        synced(watch)


def test_the_prompt_comes_back_after_a_watch(entrepot: CommandLine) -> None:
    """In the shell Ctrl-C ends the watch, not the shell."""
    with running(entrepot, "shell") as unused:
        assert unused.process.wait(TIMEOUT_S) == OK, "without lines it ends"
    read_end, write_end = os.pipe()
    with subprocess.Popen([binary("entrepot"), "shell"], stdin=read_end, stdout=subprocess.PIPE,
                          text=True, env=entrepot.environment) as shell:
        os.close(read_end)
        assert shell.stdout is not None
        os.write(write_end, b"watch --no-snapshot\n")
        assert shell.stdout.readline().startswith("synced\t")
        shell.send_signal(signal.SIGINT)
        os.write(write_end, b"incr n\n")
        assert shell.stdout.readline() == "1\n"
        os.close(write_end)
        assert shell.wait(TIMEOUT_S) == OK
