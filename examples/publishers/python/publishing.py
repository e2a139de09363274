"""What the publishers share: flags, pace, Ctrl-C, and a server that goes away and comes back.

A publisher takes a batch of entries from its source, hands it to a sender, and waits for its next
turn. The two senders are with_client.py (package entrepot) and without_client.py (zmq and msgpack).
"""

import argparse
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

# How long a sender waits for an answer before it says that the server is away.
ANSWER_TIMEOUT_MS = 2000


@dataclass(frozen=True)
class Entry:
    """What is published. An entry without a TTL stays."""

    key: str
    value: Any
    ttl_ms: Optional[int] = None


class ServerAway(Exception):
    """The server does not answer, or cannot take anything now: try again later."""


def flags(description: Optional[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    default_server = os.environ.get("ENTREPOT_SERVER", "tcp://127.0.0.1:5555")
    parser.add_argument("--server", default=default_server, help="endpoint of the server")
    parser.add_argument("--rate", type=positive, default=1.0, help="turns a second (default 1)")
    parser.add_argument("--count", type=positive, default=math.inf, help="end after so many")
    return parser


def positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(
    arguments: argparse.Namespace,
    sender: Any,
    next_batch: Callable[[float], List[Entry]],
    *,
    one_batch_counts_as_one: bool = False,
    repeat: bool = True,
) -> None:
    """Publishes until ``--count`` is reached or Ctrl-C ends it.

    ``next_batch(most)`` gives what to publish in this turn, perhaps nothing. A batch that could not
    be sent is sent again in the next turn with ``repeat``, and is dropped for a newer one without.
    """
    say(f"publishing to {arguments.server}; Ctrl-C ends")
    published = 0
    is_away = False
    batch: List[Entry] = []
    turn_at = time.monotonic()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        while True:
            batch = batch or next_batch(arguments.count - published)
            try:
                if batch:
                    sender.send(batch)
            except ServerAway as away:
                if not is_away:
                    say(f"the server is away: {away}")
                is_away = True
                batch = batch if repeat else []
            else:
                if batch and is_away:
                    say("the server is back")
                    is_away = False
                published += min(len(batch), 1) if one_batch_counts_as_one else len(batch)
                batch = []
            if published >= arguments.count:
                break
            turn_at += 1 / arguments.rate
            now = time.monotonic()
            turn_at = max(turn_at, now)
            time.sleep(turn_at - now)
    except KeyboardInterrupt:
        pass  # The wanted end.
    finally:
        sender.close()
    say(f"ended after {published}")
