"""Entrepôt from Python: a key-value store over ZeroMQ and msgpack.

``Client`` blocks and may be shared by threads; ``entrepot.aio.Client`` is for asyncio. Both follow
docs/CLIENTS.md, the page for all languages.
"""

from . import aio, errors
from .client import Client, Pending, Pipeline
from .errors import EntrepotError
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
    "Client",
    "Condition",
    "CountResult",
    "DeletePrefixResult",
    "DeleteResult",
    "Entry",
    "EntrepotError",
    "GetManyResult",
    "Hello",
    "IncrementResult",
    "Item",
    "Operation",
    "OperationResult",
    "Page",
    "Pending",
    "Pipeline",
    "SetResult",
    "TouchResult",
    "TransactResult",
    "aio",
    "errors",
]
