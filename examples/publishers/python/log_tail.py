#!/usr/bin/python3
"""Publishes each line of a file, and then each line that is added to it.

log_tail.py does it with the Entrepôt client, log_tail_raw.py without. A line's key holds its
number, so that a second run writes the same again and nothing twice. A file that has become
shorter or was replaced is read from its beginning.
"""

import os
from pathlib import Path
from typing import Any, BinaryIO, List, Optional

from publishing import Entry, flags, run

# A line is kept for an hour; so many are published in one turn at most.
LINE_TTL_MS = 3_600_000
LINES_A_TURN = 500


class Tail:
    """The complete lines of a file, as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Optional[BinaryIO] = None
        self._number = 0

    def lines(self, most: float) -> List[Entry]:
        self._follow()
        entries = []
        while self._file is not None and len(entries) < min(most, LINES_A_TURN):
            begin = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b"\n"):
                self._file.seek(begin)  # Its end is still to come.
                break
            self._number += 1
            key = f"log:{self._path.name}:{self._number:09}"
            text = line.rstrip(b"\r\n").decode("utf-8", "replace")
            entries.append(Entry(key, text, LINE_TTL_MS))
        return entries

    def _follow(self) -> None:
        """Opens the file; again when another one is there under its name, or it was cut."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return  # Rotated away; the next one will come.
        if self._file is not None:
            opened = os.fstat(self._file.fileno())
            if opened.st_ino == now.st_ino and now.st_size >= self._file.tell():
                return
            self._file.close()
        self._file = self._path.open("rb")
        self._number = 0


def main(sender_class: Any) -> None:
    parser = flags(__doc__)
    parser.add_argument("file", type=Path, help="the file to follow")
    arguments = parser.parse_args()
    run(arguments, sender_class(arguments.server), Tail(arguments.file).lines)


if __name__ == "__main__":
    from with_client import ClientSender

    main(ClientSender)
