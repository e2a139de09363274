"""The program where people use it: in pipes that end early, at a prompt in a real terminal."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import uuid
from typing import Iterator

import pytest
from conftest import ROOT, TIMEOUT_S, CommandLine
from harness.server import binary, wait_until

COMPLETIONS = ROOT / "clients" / "cli" / "completions"


def in_shell(entrepot: CommandLine, script: str) -> "subprocess.CompletedProcess[str]":
    folder = os.path.dirname(binary("entrepot"))
    environment = {**entrepot.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment,
                          timeout=TIMEOUT_S)


@pytest.fixture
def many(entrepot: CommandLine) -> CommandLine:
    lines = "".join(f'{{"key":"k:{number:05}","value":"{"x" * 100}"}}\n' for number in range(5000))
    assert entrepot("import", stdin=lines.encode()).status == 0
    return entrepot


def test_head_ends_it_quietly(many: CommandLine) -> None:
    ran = in_shell(many, "entrepot scan | head -n 2; echo ${PIPESTATUS[0]}")
    assert ran.stdout.splitlines()[:2] == [f"k:{number:05}\t{'x' * 100}" for number in range(2)]
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[2] in ("0", "141")


def test_a_full_device_is_said(many: CommandLine) -> None:
    ran = in_shell(many, "entrepot scan > /dev/full; echo $?")
    assert ran.stdout == "1\n"
    assert "could not be written" in ran.stderr


def test_no_progress_and_no_colour_in_pipes(many: CommandLine) -> None:
    exported = many("export")
    assert exported.error == ""
    assert b"\x1b" not in exported.out
    assert "\x1b" not in many("get", "nothing").error


def test_lines_come_one_by_one(entrepot: CommandLine) -> None:
    """A reader sees the first answer while the program waits for its next line."""
    process = subprocess.Popen([binary("entrepot"), "shell"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=entrepot.environment, text=True)
    assert process.stdin is not None and process.stdout is not None
    for number in range(3):
        process.stdin.write("incr n\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{number + 1}\n"
    process.stdin.close()
    assert process.wait(TIMEOUT_S) == 0


def test_a_script_runs_line_by_line(entrepot: CommandLine) -> None:
    script = b'# a comment\nset "a key" \'two words\'\nget "a key"\n\nget nothing\n'
    ran = entrepot("shell", stdin=script)
    assert ran.text == "created\ntwo words"
    assert ran.status == 3
    assert entrepot("shell", stdin=b"get 'open\n").status == 2
    assert entrepot("shell", stdin=b"get nothing\nexit\nset a 1\n").status == 3
    assert entrepot("count").text == "1\n"


class Terminal:
    """A tmux pane that runs one command."""

    def __init__(self, command: str, environment: "dict[str, str]") -> None:
        self._socket = f"entrepot-test-{uuid.uuid4().hex}"
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40",
                   f"env {exports} {command}; echo ended with $?; read -r unused")

    def _tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-L", self._socket, *words], capture_output=True, text=True,
                              check=True, timeout=TIMEOUT_S).stdout

    def type(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-J")

    def wait_for(self, text: str) -> None:
        try:
            wait_until(lambda: text in self.screen(), f"the screen shows {text!r}", 30.0)
        except TimeoutError as late:
            raise AssertionError(f"{late}\n{self.screen()}") from late

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def prompt(entrepot: CommandLine, tmp_path: pathlib.Path) -> Iterator[Terminal]:
    for key in ("colour:red", "colour:green", "with space"):
        entrepot("set", key, "1")
    environment = {"ENTREPOT_SERVER": entrepot.endpoint, "LC_ALL": "C.UTF-8",
                   "ENTREPOT_HISTORY": str(tmp_path / "history")}
    terminal = Terminal(f"{binary('entrepot')} shell", environment)
    try:
        terminal.wait_for("entrepot> ")
        yield terminal
    finally:
        terminal.close()


def test_the_prompt_completes_commands(prompt: Terminal) -> None:
    prompt.type("sca", "Tab")
    prompt.wait_for("entrepot> scan ")
    prompt.type("col", "Tab")
    prompt.wait_for("entrepot> scan colour:")
    prompt.type("Enter")
    prompt.wait_for("colour:green\t1".expandtabs())


def test_the_prompt_completes_live_keys(prompt: Terminal, entrepot: CommandLine) -> None:
    prompt.type("get colour:", "Tab")
    prompt.wait_for("colour:green\ncolour:red\nentrepot> get colour:")
    entrepot("set", "colour:blue", "fresh")
    prompt.type("b", "Tab")
    prompt.wait_for("get colour:blue ")
    prompt.type("Enter")
    prompt.wait_for("fresh")
    prompt.type("del wi", "Tab")
    prompt.wait_for("del with\\ space ")
    prompt.type("Enter")
    prompt.wait_for("deleted")


def test_the_prompt_remembers_and_ends(prompt: Terminal, tmp_path: pathlib.Path) -> None:
    prompt.type("incr counter 7", "Enter")
    prompt.wait_for("\n7\n")
    prompt.type("Up", "Enter")
    prompt.wait_for("\n14\n")
    prompt.type("unfinished", "C-c")
    prompt.wait_for("^C")
    prompt.type("get nothing", "Enter")
    prompt.wait_for("not found: nothing")
    prompt.type("C-d")
    prompt.wait_for("ended with 3")
    history = (tmp_path / "history").read_text()
    assert "counter" in history and "unfinished" not in history


def test_a_terminal_gets_its_line_ended(entrepot: CommandLine) -> None:
    entrepot("set", "a", "value")
    terminal = Terminal(f"{binary('entrepot')} get a", {"ENTREPOT_SERVER": entrepot.endpoint})
    try:
        terminal.wait_for("value\nended with 0")
    finally:
        terminal.close()


def complete_in_bash(entrepot: CommandLine, line: str) -> "list[str]":
    script = f"""
        source {COMPLETIONS / "entrepot.bash"}
        read -r -a COMP_WORDS <<< {shlex.quote(line)}
        [[ {shlex.quote(line)} == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _entrepot
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ran = in_shell(entrepot, script)
    assert ran.stderr == ""
    return sorted(ran.stdout.split("\n")[:-1])


def test_bash_completes_commands_options_and_keys(entrepot: CommandLine) -> None:
    entrepot("set", "colour:red", "1")
    entrepot("set", "colour:a b", "1")
    assert complete_in_bash(entrepot, "entrepot s") == [
        "save", "scan", "set", "shell", "stats"]
    assert "--if-absent" in complete_in_bash(entrepot, "entrepot set --i")
    assert complete_in_bash(entrepot, "entrepot -o j") == ["json", "jsonl"]
    assert complete_in_bash(entrepot, "entrepot get co") == ["colour:a\\ b", "colour:red"]
    assert complete_in_bash(entrepot, f"entrepot -s {entrepot.endpoint} get colour:r") == [
        "colour:red"]
    assert complete_in_bash(entrepot, "entrepot -s tcp://127.0.0.1:1 get co") == [""]


def test_completions_and_man_pages_know_every_option(entrepot: CommandLine) -> None:
    """What --help says of each command stands in the manual and in both completions."""
    manual = "".join(path.read_text() for path in (ROOT / "clients/cli/man").glob("*.1"))
    manual = manual.replace("\\-", "-")
    bash = (COMPLETIONS / "entrepot.bash").read_text()
    zsh = (COMPLETIONS / "_entrepot").read_text()
    commands = ("get set del incr append touch mget find scan count watch changes stats save backup "
                "ping import export raw")
    for command in commands.split():
        help_text = entrepot(command, "--help").text
        options = {word.strip(",") for word in help_text.split() if word.startswith("--")}
        for option in options - {"--help", "--equals,", "--"}:
            for name, text in (("manual", manual), ("bash", bash), ("zsh", zsh)):
                assert option in text, (command, option, name)


@pytest.fixture
def zsh(entrepot: CommandLine, tmp_path: pathlib.Path) -> Iterator[Terminal]:
    """A prompt of zsh that has loaded the completion and knows no server but by its options."""
    (tmp_path / ".zshrc").write_text(f"""
        PATH={os.path.dirname(binary("entrepot"))}:$PATH
        fpath=({COMPLETIONS} $fpath)
        autoload -U compinit
        compinit -u -D
        PS1='zsh> '
    """)
    for key in ("colour:red", "colour:green", "with space"):
        entrepot("set", key, "1")
    terminal = Terminal("zsh -i", {"ZDOTDIR": str(tmp_path), "LC_ALL": "C.UTF-8",
                                   "ENTREPOT_SERVER": "tcp://127.0.0.1:1"})
    try:
        terminal.wait_for("zsh> ")
        yield terminal
    finally:
        terminal.close()


def test_zsh_completes_commands_and_options(zsh: Terminal) -> None:
    zsh.type("entrepot sc", "Tab")
    zsh.wait_for("zsh> entrepot scan ")
    zsh.type("C-u", "entrepot scan --key", "Tab")
    zsh.wait_for("zsh> entrepot scan --keys ")
    zsh.type("C-u", "entrepot -o c", "Tab")
    zsh.wait_for("zsh> entrepot -o csv ")


def test_zsh_completes_live_keys(zsh: Terminal, entrepot: CommandLine) -> None:
    for line in (f"entrepot -s {entrepot.endpoint} get ",
                 f"entrepot --server={entrepot.endpoint} get ",
                 f"entrepot get --server {entrepot.endpoint} "):
        zsh.type(line, "co", "Tab")
        zsh.wait_for(f"zsh> {line}colour:")
        zsh.type("r", "Tab")
        zsh.wait_for(f"zsh> {line}colour:red ")
        zsh.type("C-u", line, "with\\ sp", "Tab")
        zsh.wait_for(f"zsh> {line}with\\ space ")
        zsh.type("C-u", line, '"wi', "Tab")
        zsh.wait_for(f'zsh> {line}"with space" ')
        zsh.type("C-u")


def test_zsh_completes_files_behind_an_at_sign(zsh: Terminal, tmp_path: pathlib.Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"")
    zsh.type(f"entrepot set a @{tmp_path}/pic", "Tab")
    zsh.wait_for(f"zsh> entrepot set a @{tmp_path}/picture.png ")
