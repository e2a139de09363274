#!/usr/bin/python3
"""A service whose settings follow the store while it runs; configure.py changes them."""

from checkout import entrepot
from entrepot import Delete, Expired, Resync, Set, Snapshot, Synced

PREFIX = "config:greeter:"
# What holds where the store says nothing.
DEFAULTS = {"greeting": "hello", "interval_seconds": 10}


def main() -> None:
    settings = dict(DEFAULTS)
    with entrepot.Client() as client, client.watch(PREFIX) as events:
        for event in events:
            match event:
                case Resync():  # What was told may be wrong: all of it comes again.
                    settings = dict(DEFAULTS)
                case Snapshot(key, value) | Set(key, value):
                    settings[key.removeprefix(PREFIX)] = value
                case Delete(key) | Expired(key):
                    name = key.removeprefix(PREFIX)
                    settings[name] = DEFAULTS.get(name)
            # Until Synced the picture is not whole; after it, every change counts at once.
            if isinstance(event, Synced) or events.is_live:
                print("settings:", settings, flush=True)


try:
    main()
except KeyboardInterrupt:
    pass  # The wanted end.
