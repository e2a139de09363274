"""Every vector, against a real server: on both transports, over tcp and ipc, in both dispatch modes.

A case that sets options of the server gets a server with these options; all others share one for
each endpoint and mode.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from harness import server as servers
from harness import vectors
from runner import CaseRunner

ENDPOINTS = {"tcp": "tcp://127.0.0.1:0", "ipc": "ipc://{folder}/requests"}
DISPATCH_MODES = ("inline", "workers")
TRANSPORTS = ("zmq", "native")

SETTINGS = [(transport, dispatch, endpoint) for transport in TRANSPORTS
            for dispatch in DISPATCH_MODES for endpoint in ENDPOINTS]
# Over inproc:// peers are in the server's process: inproc_bridge gives each of them a connection.
SETTINGS += [("zmq", dispatch, "inproc") for dispatch in DISPATCH_MODES]
if os.environ.get("ENTREPOT_QUICK"):
    SETTINGS = SETTINGS[:1]

CASES = vectors.load_all()


class ServerPool:
    """Servers by endpoint, mode and options: started when first asked for, stopped together."""

    def __init__(self, setting: Tuple[str, str, str]):
        transport, dispatch, endpoint = setting
        self._fixed = ["--transport", transport, "--dispatch", dispatch]
        self._program = "inproc_bridge" if endpoint == "inproc" else "entrepot-server"
        self._listen = [ENDPOINTS.get(endpoint, ENDPOINTS["tcp"])]
        self._servers: Dict[str, servers.Server] = {}

    def endpoint_for(self, options: Dict[str, str]) -> str:
        arguments = [part for name, value in sorted(options.items())
                     for part in (f"--{name}", str(value))]
        key = " ".join(arguments)
        if key not in self._servers:
            self._servers[key] = servers.start_server(self._fixed + arguments, self._listen,
                                                       program=self._program)
        assert self._servers[key].is_running(), self._servers[key].log()
        return self._servers[key].endpoint

    def stop(self) -> List[Tuple[int, str]]:
        """Stops all of them; the exit status and the log of each."""
        results = []
        for server in self._servers.values():
            status = server.stop() if server.is_running() else server.wait()
            results.append((status, server.log()))
            server.close()
        return results


@pytest.fixture(scope="module", params=SETTINGS, ids="-".join)
def pool(request: Any) -> Iterator[ServerPool]:
    started = ServerPool(request.param)
    yield started
    for status, log in started.stop():
        assert status == 0, log


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_vector(pool: ServerPool, case: vectors.Case) -> None:
    CaseRunner(pool.endpoint_for(case.options), case).run()
