"""Entrepôt from Python: a key-value store over ZeroMQ and msgpack.

``Client`` blocks and may be shared by threads; ``entrepot.aio.Client`` is for asyncio. Both follow
docs/CLIENTS.md, the page for all languages.
"""

from . import aio, errors, events
from .client import Changes, Client, Events, Mirror, Pending, Pipeline
from .errors import EntrepotError
from .events import (
    ChangesPage,
    Delete,
    Difference,
    Expired,
    Left,
    Resync,
    Set,
    Snapshot,
    Synced,
    Token,
    Touch,
)
from .results import (
    AppendResult,
    CountResult,
    DeletePrefixResult,
    DeleteResult,
    Entry,
    GetManyResult,
    Hello,
    IncrementResult,
    Item,
    OperationResult,
    Page,
    SetResult,
    TouchResult,
    TransactResult,
)
from .transactions import Condition, Operation

__version__ = "1.0.0"

__all__ = [
    "AppendResult",
    "Changes",
    "ChangesPage",
    "Client",
    "Condition",
    "CountResult",
    "Delete",
    "DeletePrefixResult",
    "DeleteResult",
    "Difference",
    "Entry",
    "EntrepotError",
    "Events",
    "Expired",
    "GetManyResult",
    "Hello",
    "IncrementResult",
    "Item",
    "Left",
    "Mirror",
    "Operation",
    "OperationResult",
    "Page",
    "Pending",
    "Pipeline",
    "Resync",
    "Set",
    "SetResult",
    "Snapshot",
    "Synced",
    "Token",
    "Touch",
    "TouchResult",
    "TransactResult",
    "aio",
    "errors",
    "events",
]
