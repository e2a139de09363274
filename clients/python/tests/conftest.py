"""Real servers for the tests, and a client of an empty store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (ROOT / "tests" / "support", ROOT / "clients" / "python", HERE):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from entrepot import Client  # noqa: E402
from server_process import ServerProcess  # noqa: E402


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ServerProcess]:
    """One server for all tests that do not stop it."""
    with ServerProcess() as server:
        yield server


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server of the test's own, which it may stop and start again."""
    with ServerProcess() as server:
        yield server


@pytest.fixture
def client(shared_server: ServerProcess) -> Iterator[Client]:
    """A client of a store that is empty."""
    with Client(shared_server.endpoint) as client:
        while client.delete_prefix("").more:
            pass
        yield client
