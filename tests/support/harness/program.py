"""A program that runs beside a test, as it stands, and what it says.

    with Program(["node", "subscriber.mjs"], tmp_path / "said") as program:
        program.wait_until_said("price:ACME")
        assert program.end() == 0
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from typing import Optional, Mapping, Sequence

from harness.server import wait_until

RUN_TIMEOUT_S = 60.0


class Program:
    """Both of its outputs go to one file. A context manager that kills it if it still runs."""

    def __init__(self, arguments: Sequence[str], output: pathlib.Path,
                 environment: Optional[Mapping[str, str]] = None):
        self._output = output
        # As it stands: nothing on the path but what a user has.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with output.open("wb") as stream:
            self.process = subprocess.Popen(arguments, stdout=stream, stderr=stream,
                                            env={**inherited, **(environment or {})})

    def said(self) -> str:
        return self._output.read_text()

    def wait_until_said(self, text: str, times: int = 1) -> None:
        """Fails when the program ends without having said it so often."""
        def it_is_said() -> bool:
            return self.said().count(text) >= times or self.process.poll() is not None

        try:
            wait_until(it_is_said, f"it says {text!r}", RUN_TIMEOUT_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}; it said:\n{self.said()}") from error
        assert self.said().count(text) >= times, self.said()

    def end(self, signal_number: int = signal.SIGINT) -> int:
        """Sends the signal and gives the exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(RUN_TIMEOUT_S)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
