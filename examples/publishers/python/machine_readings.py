#!/usr/bin/python3
"""Publishes this machine's readings from /proc, with a TTL: what is not renewed is gone.

machine_readings.py does it with the Entrepôt client, machine_readings_raw.py without.
"""

import socket
from pathlib import Path
from typing import Any, Dict, List

from publishing import Entry, flags, run

# A reading lives for so many turns, and for three seconds at least.
TTL_TURNS = 3
TTL_MS_MIN = 3000
SECTOR_BYTES = 512


class Processor:
    """The share of time that the processors were busy since the last reading."""

    def __init__(self) -> None:
        self._busy = 0
        self._total = 0

    def percent(self) -> float:
        fields = [
            int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        ]
        total, idle = sum(fields), fields[3] + fields[4]
        busy = total - idle
        elapsed = max(total - self._total, 1)
        percent = 100 * (busy - self._busy) / elapsed
        self._busy, self._total = busy, total
        return round(percent, 1)


def memory() -> Dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {
        "memory_total_bytes": kibibytes["MemTotal"] * 1024,
        "memory_available_bytes": kibibytes["MemAvailable"] * 1024,
    }


def disks() -> Dict[str, int]:
    readings = {}
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        name = fields[2]
        if not name.startswith(("loop", "ram")):
            readings[f"disk:{name}:read_bytes"] = int(fields[5]) * SECTOR_BYTES
            readings[f"disk:{name}:written_bytes"] = int(fields[9]) * SECTOR_BYTES
    return readings


def network() -> Dict[str, int]:
    readings = {}
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        readings[f"network:{name.strip()}:received_bytes"] = int(fields[0])
        readings[f"network:{name.strip()}:sent_bytes"] = int(fields[8])
    return readings


def main(sender_class: Any) -> None:
    arguments = flags(__doc__).parse_args()
    ttl_ms = max(round(TTL_TURNS * 1000 / arguments.rate), TTL_MS_MIN)
    processor = Processor()
    machine = socket.gethostname()

    def read(most: float) -> List[Entry]:
        readings = {"cpu_percent": processor.percent(), **memory(), **disks(), **network()}
        return [
            Entry(f"machine:{machine}:{name}", value, ttl_ms) for name, value in readings.items()
        ]

    run(
        arguments,
        sender_class(arguments.server),
        read,
        one_batch_counts_as_one=True,
        repeat=False,
    )


if __name__ == "__main__":
    from with_client import ClientSender

    main(ClientSender)
