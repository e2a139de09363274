"""What README shows is what happens: its session, its programs, and the tour of examples/demo."""

import os
import pathlib
import re
import subprocess
import sys

from harness.server import start_server

PROJECT = pathlib.Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text()
BIN = pathlib.Path(os.environ["ENTREPOT_BIN_DIR"])


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_session_prints_what_readme_prints():
    (session,) = blocks("console")
    with start_server([]) as running:
        environment = dict(os.environ, ENTREPOT_SERVER=running.endpoint,
                           PATH=f"{BIN}:{os.environ['PATH']}")
        said = ""
        for command in re.findall(r"^\$ (.*)$", session, re.MULTILINE):
            done = subprocess.run(command, shell=True, env=environment, timeout=60,
                                  stdout=subprocess.PIPE, text=True, check=False)
            # What is not a terminal gets the value's bytes alone; a person sees a line.
            said += f"$ {command}\n" + done.stdout.rstrip("\n") + "\n"
        assert said == session


def test_the_programs_run():
    programs = blocks("python")
    assert len(programs) >= 2
    with start_server([]) as running:
        for program in programs:
            done = subprocess.run(
                [sys.executable, "-c", program.replace("tcp://127.0.0.1:5555", running.endpoint)],
                env=dict(os.environ, PYTHONPATH=str(PROJECT / "clients" / "python")),
                timeout=60, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert done.stdout


def test_the_tour_runs():
    with start_server([]) as running:
        done = subprocess.run(
            [sys.executable, PROJECT / "examples" / "demo" / "demo.py", "--server", running.endpoint],
            timeout=60, capture_output=True, text=True, check=True)
    for word in ("created", "updated", "found", "not_found", "conflict", "committed"):
        assert f"'{word}'" in done.stdout
    assert "'keys': ['demo:sky', 'demo:sea']" in done.stdout


def test_it_is_short():
    assert len(README.splitlines()) <= 150
