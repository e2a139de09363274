"""The ZeroMQ context that all clients of this process share.

It lives from the first connection to the last, so that a program without open clients has none of
its threads. A child made by ``fork`` gets a context of its own; the parent's is left untouched.
"""

from __future__ import annotations

import os
import threading
from typing import List, Optional

import zmq

# A client has two sockets, and for a short time two more for each renewed connection.
SOCKETS_MAX = 16384

# The garbage collector may call release() in the middle of acquire().
_mu = threading.RLock()
_context: Optional[zmq.Context[zmq.Socket[bytes]]] = None
_users = 0
# Contexts of parent processes: kept, because ending them here would end them there.
_inherited: List[zmq.Context[zmq.Socket[bytes]]] = []


def acquire() -> zmq.Context[zmq.Socket[bytes]]:
    """The shared context. Every call needs its release()."""
    global _context, _users
    with _mu:
        _users += 1
        if _context is None:
            _context = zmq.Context()
            _context.set(zmq.MAX_SOCKETS, SOCKETS_MAX)
        return _context


def release() -> None:
    """All sockets of the caller are closed. The last one ends the context."""
    global _context, _users
    with _mu:
        _users -= 1
        if _users == 0 and _context is not None:
            _context.term()
            _context = None


def _after_fork_in_child() -> None:
    global _mu, _context, _users
    _mu = threading.RLock()
    if _context is not None:
        _inherited.append(_context)
    _context = None
    _users = 0


os.register_at_fork(after_in_child=_after_fork_in_child)
