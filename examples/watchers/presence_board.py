#!/usr/bin/python3
"""Says who joins and who leaves, also by crashing; presence_join.py is what joins."""

import threading

from checkout import entrepot

PREFIX = "presence:"


def tell(difference: entrepot.Difference) -> None:
    name = difference.key.removeprefix(PREFIX)
    if difference.before is None:
        print(name, "joined", flush=True)
    elif difference.after is None:
        print(name, "left", flush=True)


with entrepot.Client() as client, client.mirror(PREFIX, on_change=tell):
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass  # The wanted end.
