#!/usr/bin/python3
"""Says "I am here" as long as it runs: presence_join.py NAME. presence_board.py shows who is.

The entry lives for three seconds and is touched every second: nobody has to notice a crash.
"""

import os
import sys
import time

from checkout import entrepot

TTL_MS = 3000
KEY = f"presence:{sys.argv[1]}"


def main() -> None:
    # Patient: with the server away it goes on, and is there again when that is.
    with entrepot.Client(timeout_ms=60_000, connect_wait_ms=60_000) as client:
        try:
            while True:
                if client.touch(KEY, TTL_MS).status == "not_found":
                    client.set(KEY, {"process": os.getpid()}, ttl_ms=TTL_MS)
                time.sleep(1)
        finally:
            client.delete(KEY)


try:
    main()
except KeyboardInterrupt:
    pass  # The wanted end.
