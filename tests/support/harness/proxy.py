"""A TCP proxy between a client and a server, that cuts, delays and stalls.

    with CuttingProxy(server.endpoint) as proxy:
        peer = Peer(proxy.endpoint)
        proxy.cut_all()

Bytes are never lost but with their connection, as on a real network. The server may come back at
another port: `target` can be set at any time, for the connections that come then.

Thread safety: any thread; the proxy has one of its own.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Set

PIECE_BYTES = 65536
STALLED_POLL_S = 0.01


class CuttingProxy:
    def __init__(self, target: str):
        self.target = target
        # While set, nothing passes, and connections stay open.
        self.is_stalled = False
        # Each piece of bytes is held back for so long.
        self.delay_s = 0.0
        self._ready = threading.Event()
        self._couples: Set["asyncio.Task[None]"] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def cut_all(self) -> None:
        """Ends every connection that is open now."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for couple in self._couples:
            couple.cancel()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.endpoint = "tcp://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cancel()
        await asyncio.gather(*self._couples, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        couple = asyncio.ensure_future(self._couple(reader, writer))
        self._couples.add(couple)
        couple.add_done_callback(self._couples.discard)

    async def _couple(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target[len("tcp://"):].rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            # The server is away; the client tries again.
            writer.close()
            return
        ways = [asyncio.ensure_future(self._pass(reader, far_writer)),
                asyncio.ensure_future(self._pass(far_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                piece = await reader.read(PIECE_BYTES)
                if not piece:
                    return
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.is_stalled:
                    await asyncio.sleep(STALLED_POLL_S)
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            return

    def __enter__(self) -> "CuttingProxy":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
