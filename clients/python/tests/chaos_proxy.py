"""A TCP proxy that knows where ZMTP frames begin, and loses, delays, doubles and cuts.

The greeting and the handshake's commands pass; after them each message frame meets a fate that a
seeded generator chooses. A frame is lost or doubled whole, so that what follows is still ZMTP.

    greeting := byte[64]
    frame    := flags:u8 (size:u8 | size:u64be) byte[size]     flags: 1 more, 2 long, 4 command
"""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Optional, Set, Type

GREETING_BYTES = 64
FLAG_LONG = 2
FLAG_COMMAND = 4


@dataclass
class Fates:
    """The share of message frames that meets each fate; the others pass."""

    drop: float = 0.0
    double: float = 0.0
    cut: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.05


class ChaosProxy:
    """Listens on a free port and connects each caller to ``target``, a tcp endpoint."""

    def __init__(self, target: str, fates: Fates, seed: int) -> None:
        host, _, port = target[len("tcp://") :].rpartition(":")
        self._target = (host, int(port))
        self.fates = fates
        self.met = {"drop": 0, "double": 0, "cut": 0, "delay": 0, "pass": 0}
        # While set, nothing passes in either direction, and connections stay open.
        self.is_stalled = False
        self._random = random.Random(seed)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-proxy")
        self._tasks: Set[asyncio.Task[None]] = set()

    def cut_all(self) -> None:
        """Ends every connection that is open now."""

        def cancel() -> None:
            for task in self._tasks:
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.endpoint = "tcp://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._couple(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _couple(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.create_task(self._pass_frames(reader, far_writer)),
            asyncio.create_task(self._pass_frames(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            far_writer.close()

    async def _pass_frames(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._pass_greeting(reader, writer)
            while True:
                head = await reader.readexactly(1)
                size = await reader.readexactly(8 if head[0] & FLAG_LONG else 1)
                frame = head + size + await reader.readexactly(int.from_bytes(size, "big"))
                if self.is_stalled:
                    continue
                if head[0] & FLAG_COMMAND:
                    writer.write(frame)
                    await writer.drain()
                elif not await self._meet_fate(frame, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def _pass_greeting(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """In the pieces in which it comes: a peer sends the rest when it has seen a beginning."""
        left = GREETING_BYTES
        while left > 0:
            piece = await reader.read(left)
            if not piece:
                raise ConnectionError("ended in the greeting")
            left -= len(piece)
            if not self.is_stalled:
                writer.write(piece)
                await writer.drain()

    async def _meet_fate(self, frame: bytes, writer: asyncio.StreamWriter) -> bool:
        """False when the connection is to be cut."""
        fates = self.fates
        names = ["drop", "double", "cut", "delay"]
        shares = [fates.drop, fates.double, fates.cut, fates.delay]
        fate = self._random.choices([*names, "pass"], [*shares, 1 - sum(shares)])[0]
        self.met[fate] += 1
        if fate == "cut":
            return False
        if fate == "delay":
            await asyncio.sleep(self._random.random() * fates.delay_seconds)
        if fate != "drop":
            writer.write(frame * (2 if fate == "double" else 1))
            await writer.drain()
        return True

    def __enter__(self) -> ChaosProxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
