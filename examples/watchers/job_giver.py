#!/usr/bin/python3
"""Hands out jobs and waits for their results: job_giver.py WORD...; job_worker.py does them.

    jobs:open:NUMBER    what is to be done
    jobs:claim:NUMBER   who does it; the claim of a worker that has died expires
    jobs:done:NUMBER    the result
"""

import sys

from checkout import entrepot
from entrepot import Delete, Set, Snapshot


def main() -> None:
    # Patient: it goes on when the server has been away.
    with entrepot.Client(timeout_ms=60_000, connect_wait_ms=60_000) as client:
        last = client.increment("jobs:numbers", len(sys.argv[1:])).value
        open_jobs = {}
        for number, word in enumerate(sys.argv[1:], start=last - len(sys.argv[1:]) + 1):
            client.set(f"jobs:open:{number}", word)
            open_jobs[f"jobs:done:{number}"] = word
        with client.watch("jobs:done:") as events:
            for event in events:
                if isinstance(event, (Snapshot, Set)) and event.key in open_jobs:
                    print(open_jobs.pop(event.key), "->", event.value, flush=True)
                    client.delete(event.key)
                if not open_jobs:
                    return


try:
    main()
except KeyboardInterrupt:
    pass  # The wanted end.
