"""Black-box tests of the whole program: real peers, bad input, load, and the process itself.

Each test runs on both transports, `zmq` first; ENTREPOT_TRANSPORTS names others ("native", say).
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import pytest  # noqa: E402

from harness.server import start_server  # noqa: E402

QUICK = bool(os.environ.get("ENTREPOT_QUICK"))
TRANSPORTS = os.environ.get("ENTREPOT_TRANSPORTS", "zmq" if QUICK else "zmq,native").split(",")
DISPATCH_MODES = ["inline"] if QUICK else ["inline", "workers"]


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: holds times against bounds, so nothing runs beside")


@pytest.fixture(autouse=True, params=TRANSPORTS)
def transport(request, monkeypatch):
    """The transport of every server that the test starts and says nothing else to."""
    monkeypatch.setenv("ENTREPOT_TRANSPORT", request.param)
    return request.param


@pytest.fixture(params=DISPATCH_MODES)
def server(request, transport):
    """A server of its own for each test, in both dispatch modes; it must end well."""
    with start_server(["--dispatch", request.param]) as running:
        yield running
        assert running.is_running(), running.log()
        assert running.stop() == 0, running.log()
