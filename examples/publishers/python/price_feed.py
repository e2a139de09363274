#!/usr/bin/python3
"""Replays a price feed from a file, one quote a turn, again from the top when it ends.

price_feed.py does it with the Entrepôt client, price_feed_raw.py without. The README has the
format of the file.
"""

import csv
import itertools
from pathlib import Path
from typing import Any, Iterator, List

from publishing import Entry, flags, run

DEFAULT_FILE = Path(__file__).resolve().parent.parent / "prices.csv"


def quotes(file: Path) -> List[Entry]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    found = [
        Entry(f"price:{row['symbol']}", {"price": float(row["price"]), "time": row["time"]})
        for row in csv.DictReader(lines)
    ]
    if not found:
        raise SystemExit(f"{file} holds no quotes")
    return found


def main(sender_class: Any) -> None:
    parser = flags(__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="the feed")
    arguments = parser.parse_args()
    feed: Iterator[Entry] = itertools.cycle(quotes(arguments.file))
    run(arguments, sender_class(arguments.server), lambda most: [next(feed)])


if __name__ == "__main__":
    from with_client import ClientSender

    main(ClientSender)
