#!/usr/bin/python3
"""Shows the readings of all machines as a table that is always current.

../publishers/python/machine_readings.py publishes them; a machine that stops is gone after three
seconds, because its readings have a TTL.
"""

import sys
import threading

from checkout import entrepot

PREFIX = "machine:"
# Home and clear, where there is a terminal; a pipe gets one table after the other.
CLEAR = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""


def draw(readings: entrepot.Mirror) -> None:
    rows = [f"{key[len(PREFIX):]:<58}{value:>18}" for key, value in sorted(readings.items())]
    state = "live" if readings.is_live else "the server is away; what it last said:"
    print(f"{CLEAR}{len(rows)} readings, {state}", *rows, sep="\n", flush=True)


def main() -> None:
    changed = threading.Event()
    with entrepot.Client() as client:
        with client.mirror(PREFIX, on_change=lambda difference: changed.set()) as readings:
            while True:
                draw(readings)
                changed.wait(timeout=1)
                changed.clear()


try:
    main()
except KeyboardInterrupt:
    pass  # The wanted end.
