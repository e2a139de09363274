"""Black-box tests of the whole program: real peers, bad input, load, and the process itself."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import pytest  # noqa: E402

from harness.server import start_server  # noqa: E402


@pytest.fixture(params=["inline", "workers"])
def server(request):
    """A server of its own for each test, in both dispatch modes; it must end well."""
    with start_server(["--dispatch", request.param]) as running:
        yield running
        assert running.is_running(), running.log()
        assert running.stop() == 0, running.log()
