#!/usr/bin/python3
"""Loads every package that this Debian system knows, then searches them by their description.

    packages.py [--server ENDPOINT] [--prefix TEXT…] [--count N] [--keep]

Each package becomes two entries: `package/NAME` holds its description, `document/NAME` a map with
version, section, size and what it depends on. Then "which descriptions start with …" is answered
twice: by `find`, from the server's ordered index, and by reading everything with `scan` and
comparing here, as one has to with a store that knows keys only. Both answers must be the same.

Nothing but pyzmq and msgpack is used: requests travel 500 in a message, four messages under way.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import msgpack
import zmq

DPKG_STATUS = pathlib.Path("/var/lib/dpkg/status")
REQUESTS_A_MESSAGE = 500
MESSAGES_UNDER_WAY = 4
PAGE_KEYS = 1000
REPLY_TIMEOUT_MS = 60_000

Call = Tuple[Any, ...]


class Connection:
    """A DEALER that sends requests and pairs the responses by their msgids."""

    def __init__(self, endpoint: str):
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(endpoint)
        self._msgid = 0

    def call(self, method: str, *params: Any) -> Dict[str, Any]:
        """One request. While the server builds the index for it, it is sent again."""
        while True:
            self._send([(method, *params)])
            result = self._receive()[0]
            if "retry_after_ms" not in result:
                return result
            time.sleep(result["retry_after_ms"] / 1000)

    def call_all(self, calls: Sequence[Call]) -> int:
        """Runs any number of requests; how many were answered."""
        under_way = answered = 0
        for start in range(0, len(calls), REQUESTS_A_MESSAGE):
            if under_way == MESSAGES_UNDER_WAY:
                answered += len(self._receive())
                under_way -= 1
            self._send(calls[start:start + REQUESTS_A_MESSAGE])
            under_way += 1
        for _ in range(under_way):
            answered += len(self._receive())
        return answered

    def _send(self, calls: Sequence[Call]) -> None:
        packer = msgpack.Packer(autoreset=False)
        for method, *params in calls:
            self._msgid = (self._msgid + 1) % 2**32
            packer.pack([0, self._msgid, method, params])
        self._socket.send(packer.bytes())

    def _receive(self) -> List[Dict[str, Any]]:
        if not self._socket.poll(REPLY_TIMEOUT_MS):
            raise SystemExit("no answer: is entrepot-server running?")
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(self._socket.recv())
        results = []
        for _, _, error, result in unpacker:
            if error is not None and "retry_after_ms" not in error:
                raise SystemExit(f"the server answers {error['code']}: {error['message']}")
            results.append(result or error)
        return results


def paragraphs(text: str) -> Iterator[Dict[str, str]]:
    """The fields of each paragraph of a Debian control file; of long fields the first line."""
    for paragraph in text.split("\n\n"):
        fields = {}
        for line in paragraph.splitlines():
            if line and not line[0].isspace() and ": " in line:
                name, value = line.split(": ", 1)
                fields[name] = value
        if "Package" in fields:
            yield fields


def known_packages() -> Dict[str, Dict[str, str]]:
    """Packages by name: all that apt knows, or the installed ones where its lists are empty."""
    available = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True,
                               check=True).stdout
    packages = {fields["Package"]: fields for fields in paragraphs(available)}
    if not packages:
        installed = DPKG_STATUS.read_text(encoding="utf-8", errors="replace")
        packages = {fields["Package"]: fields for fields in paragraphs(installed)}
    return packages


def document(fields: Dict[str, str]) -> Dict[str, Any]:
    depends = fields.get("Depends", "")
    return {"version": fields.get("Version", ""), "section": fields.get("Section", ""),
            "installed_kib": int(fields.get("Installed-Size", "0")),
            "depends": [one.split()[0] for one in depends.split(",") if one.strip()]}


def pages(connection: Connection, method: str, first: str,
          options: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """All pages of a find or a scan; only a missing cursor is the end."""
    page: Dict[str, Any] = connection.call(method, first, options)
    yield page
    while "cursor" in page:
        page = connection.call(method, first, {**options, "cursor": page["cursor"]})
        yield page


def find(connection: Connection, prefix: str) -> List[str]:
    options = {"key_prefix": "package/", "limit": PAGE_KEYS}
    return [key for page in pages(connection, "find", prefix, options) for key in page["keys"]]


def full_scan(connection: Connection, prefix: str) -> List[str]:
    options = {"limit": PAGE_KEYS, "values": True}
    found = [(value, key) for page in pages(connection, "scan", "package/", options)
             for key, value in zip(page["keys"], page["values"]) if value.startswith(prefix)]
    return [key for _, key in sorted(found, key=lambda pair: (pair[0].encode(), pair[1].encode()))]


def timed(run: Callable[[], List[str]]) -> Tuple[List[str], float]:
    started = time.perf_counter()
    return run(), (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="tcp://127.0.0.1:5555")
    parser.add_argument("--prefix", nargs="+", metavar="TEXT",
                        default=["Python 3 ", "ZeroMQ", "fast", "library for"])
    parser.add_argument("--count", type=int, default=0, help="at most so many packages")
    parser.add_argument("--keep", action="store_true", help="leave the entries in the store")
    arguments = parser.parse_args()

    connection = Connection(arguments.server)
    packages = dict(itertools.islice(known_packages().items(), arguments.count or None))
    calls: List[Call] = []
    for name, fields in packages.items():
        calls.append(("set", f"package/{name}", fields.get("Description", "")))
        calls.append(("set", f"document/{name}", document(fields)))
    started = time.perf_counter()
    answered = connection.call_all(calls)
    seconds = time.perf_counter() - started
    print(f"{len(packages)} packages, {answered} entries in {seconds:.2f} s")

    connection.call("find", "", {"limit": 1, "key_prefix": "package/"})  # Builds the index.
    connection.call("scan", "package/", {"limit": 1})
    for prefix in arguments.prefix:
        keys, find_ms = timed(lambda: find(connection, prefix))
        scanned, scan_ms = timed(lambda: full_scan(connection, prefix))
        if keys != scanned:
            raise SystemExit(f"{prefix!r}: find and full scan do not agree")
        example = f", the first {keys[0][len('package/'):]}" if keys else ""
        print(f"{prefix!r}: {len(keys)} packages{example}; "
              f"find {find_ms:.1f} ms, full scan {scan_ms:.1f} ms")

    if not arguments.keep:
        for prefix in ("package/", "document/"):
            while connection.call("delete_prefix", prefix)["more"]:
                pass


if __name__ == "__main__":
    main()
