"""Every vector, against a real server: on both transports, over tcp and ipc, in both dispatch modes.

A case that sets options of the server gets a server with these options; all others share one for
each endpoint and mode.
"""

from __future__ import annotations

import os
from typing import Any, Iterator

import pytest

from harness import vectors
from runner import CaseRunner
from server_pool import ENDPOINTS, ServerPool

DISPATCH_MODES = ("inline", "workers")
TRANSPORTS = ("zmq", "native")

SETTINGS = [(transport, dispatch, endpoint) for transport in TRANSPORTS
            for dispatch in DISPATCH_MODES for endpoint in ENDPOINTS]
# Over inproc:// peers are in the server's process: inproc_bridge gives each of them a connection.
SETTINGS += [("zmq", dispatch, "inproc") for dispatch in DISPATCH_MODES]
if os.environ.get("ENTREPOT_QUICK"):
    SETTINGS = SETTINGS[:1]

CASES = vectors.load_all()


@pytest.fixture(scope="module", params=SETTINGS, ids="-".join)
def pool(request: Any) -> Iterator[ServerPool]:
    started = ServerPool(request.param)
    yield started
    for status, log in started.stop():
        assert status == 0, log


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_vector(pool: ServerPool, case: vectors.Case) -> None:
    CaseRunner(pool.server_for(case.options), case).run()
