"""Servers that the cases of the vectors share.

Thread safety: none.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from harness import server as servers

ENDPOINTS = {"tcp": "tcp://127.0.0.1:0", "ipc": "ipc://{folder}/requests"}


class ServerPool:
    """Servers by endpoint, mode and options: started when first asked for, stopped together."""

    def __init__(self, setting: Tuple[str, str, str]):
        transport, dispatch, endpoint = setting
        self._fixed = ["--transport", transport, "--dispatch", dispatch]
        self._program = "inproc_bridge" if endpoint == "inproc" else "entrepot-server"
        self._listen = [ENDPOINTS.get(endpoint, ENDPOINTS["tcp"])]
        self._servers: Dict[str, servers.Server] = {}

    def server_for(self, options: Dict[str, str]) -> servers.Server:
        arguments = [part for name, value in sorted(options.items())
                     if name != "feed" for part in (f"--{name}", str(value))]
        feed = options.get("feed", "off")
        key = " ".join([feed, *arguments])
        if key not in self._servers:
            self._servers[key] = servers.start_server(self._fixed + arguments, self._listen,
                                                       program=self._program, feed=feed)
        assert self._servers[key].is_running(), self._servers[key].log()
        return self._servers[key]

    def stop(self) -> List[Tuple[int, str]]:
        """Stops all of them; the exit status and the log of each."""
        results = []
        for server in self._servers.values():
            status = server.stop() if server.is_running() else server.wait()
            results.append((status, server.log()))
            server.close()
        return results
