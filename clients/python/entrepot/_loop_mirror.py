"""The mirror of the asyncio client: a task takes in what its watch tells."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Optional, Type

from ._loop_events import Events
from ._mirror_view import MirrorContents, MirrorView, OnChange
from .errors import Closed


class Mirror(MirrorView):
    """The entries below a prefix as a dictionary that is kept current.

        async with client.mirror("config:") as config:
            config["config:rate"]

    The block is entered when the first snapshot is whole; until then it is empty. ``on_change`` is
    called in the event loop, to which the mirror belongs.
    """

    def __init__(self, events: Events, on_change: Optional[OnChange]) -> None:
        """Made by the client."""
        contents = MirrorContents(on_change)
        super().__init__(contents)
        self._events = events
        self._is_whole = asyncio.Event()
        # The task has no reference to the mirror, so that one that is dropped can be closed.
        self._task = asyncio.ensure_future(_follow(events, contents, self._is_whole))

    @property
    def is_live(self) -> bool:
        """Whether the server was heard within 3 seconds and everything is shown."""
        return self._events.is_live

    async def close(self) -> None:
        """Ends it; no task is left, unless this is called by ``on_change``."""
        self._contents.end(Closed("the mirror is closed"))
        await self._events.close()
        if self._task is not asyncio.current_task():
            await self._task

    def __del__(self) -> None:
        if hasattr(self, "_task") and not self._task.get_loop().is_closed():
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def __aenter__(self) -> Mirror:
        try:
            await self._is_whole.wait()
            self._contents.count()  # Raises what went wrong.
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()


async def _follow(events: Events, contents: MirrorContents, is_whole: asyncio.Event) -> None:
    try:
        while True:
            batch = await events.next_batch()
            if batch is None:
                contents.end(Closed("the mirror is closed"))
                return
            if contents.take(batch):
                is_whole.set()
    except asyncio.CancelledError:
        contents.end(Closed("the mirror is closed"))
        raise
    except BaseException as error:  # Of the watch or of on_change: raised by the next use.
        contents.end(error)
    finally:
        await events.close()
        is_whole.set()
