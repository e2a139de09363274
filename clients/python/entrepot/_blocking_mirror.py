"""The mirror of the blocking client: a thread takes in what its watch tells."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Optional, Type

from ._blocking_events import Events
from ._mirror_view import MirrorContents, MirrorView, OnChange
from .errors import Closed


class Mirror(MirrorView):
    """The entries below a prefix as a dictionary that is kept current.

        with client.mirror("config:") as config:
            config["config:rate"]

    ``on_change`` is called in a thread of the mirror's. Thread safety: any thread may use it.
    """

    def __init__(self, events: Events, on_change: Optional[OnChange]) -> None:
        """Made by the client; returns when the first snapshot is whole."""
        contents = MirrorContents(on_change)
        super().__init__(contents)
        self._events = events
        is_whole = threading.Event()
        # The thread has no reference to the mirror, so that one that is dropped can be closed.
        self._thread = threading.Thread(
            target=_follow, args=(events, contents, is_whole), name="entrepot-mirror", daemon=True
        )
        self._thread.start()
        try:
            is_whole.wait()
            contents.count()  # Raises what went wrong.
        except BaseException:
            self.close()
            raise

    @property
    def is_live(self) -> bool:
        """Whether the server was heard within 3 seconds and everything is shown."""
        return self._events.is_live

    def close(self) -> None:
        """Ends it; no thread is left, unless this is called by ``on_change``."""
        self._contents.end(Closed("the mirror is closed"))
        self._events.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __del__(self) -> None:
        if hasattr(self, "_events"):
            self._events.close()

    def __enter__(self) -> Mirror:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def _follow(events: Events, contents: MirrorContents, is_whole: threading.Event) -> None:
    try:
        while True:
            batch = events.next_batch()
            if batch is None:
                contents.end(Closed("the mirror is closed"))
                return
            if contents.take(batch):
                is_whole.set()
    except BaseException as error:  # Of the watch or of on_change: raised by the next use.
        contents.end(error)
    finally:
        events.close()
        is_whole.set()
