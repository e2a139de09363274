#!/usr/bin/python3
"""Does the jobs of job_giver.py, each exactly one worker at a time: job_worker.py NAME."""

import sys

from checkout import entrepot
from entrepot import Condition, Expired, Operation, Set, Snapshot

NAME = sys.argv[1]
CLAIM_MS = 5000


def do(client: entrepot.Client, number: str) -> None:
    """Unless the job is done, or another one has it."""
    job, claim = f"jobs:open:{number}", f"jobs:claim:{number}"
    word = client.get(job)
    claimed = client.transact(
        conditions=[Condition.exists(job)],
        then=[Operation.set(claim, NAME, if_absent=True, ttl_ms=CLAIM_MS)],
    )
    if not claimed.committed:
        return
    result = f"{word.upper()} by {NAME}"  # The work.
    done = client.transact(
        conditions=[Condition.value(claim, "=", NAME)],  # It has not taken too long.
        then=[
            Operation.set(f"jobs:done:{number}", result),
            Operation.delete(job),
            Operation.delete(claim),
        ],
    )
    print(f"job {number}: {result}" if done.committed else f"job {number}: too late", flush=True)


def main() -> None:
    # Patient: a job that was claimed is finished also when the server is away for a minute.
    with entrepot.Client(timeout_ms=60_000, connect_wait_ms=60_000) as client:
        with client.watch("jobs:") as events:
            for event in events:
                match event:
                    case Snapshot(key) | Set(key) if key.startswith("jobs:open:"):
                        do(client, key.removeprefix("jobs:open:"))
                    case Expired(key):  # Whoever had claimed it has died.
                        do(client, key.removeprefix("jobs:claim:"))


try:
    main()
except KeyboardInterrupt:
    pass  # The wanted end.
