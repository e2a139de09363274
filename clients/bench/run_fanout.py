#!/usr/bin/env python3
"""How fast a change reaches many: Entrepôt's feed beside Redis pub/sub and a bare libzmq PUB.

Every system publishes at the same rate, of which more is asked than any of them can deliver to
many; `bench-fanout` counts what reaches its readers. The server runs on one core, what asks and
reads on the other. Writes docs/benchmarks/fanout.md.

    /usr/bin/python3 clients/bench/run_fanout.py [--transport native] [--rounds 3] [--seconds 2]
"""

import argparse
import contextlib
import json
import pathlib
import socket
import statistics
import subprocess
import threading
import time

import msgpack
import zmq

from suite import machine, systems

ROOT = pathlib.Path(__file__).resolve().parents[2]
READERS = (1, 10, 100, 1000)
DELIVERIES_OFFERED = 6_000_000  # A second, at most RATE_MAX changes a second.
RATE_MAX = 150_000
BATCH = 64
VALUE = "v" * 32
WARM_UP_SECONDS = 1.5


def set_request(msgid, key):
    return msgpack.packb([0, msgid, "set", [key, VALUE]])


def keys():
    return [f"key{number:013}" for number in range(1000)]


def event_bytes():
    """Of an event of such a change, as the feed packs it."""
    return len(msgpack.packb({"key": keys()[0], "op": "set", "cause": "client", "version": 1 << 20,
                              "previous_version": 1 << 20, "value": VALUE}))


class Producer:
    """A thread that has `publish` send BATCH changes, so many times a second that `rate` comes."""

    def __init__(self, rate, publish):
        self._rate = rate
        self._publish = publish
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        begin, sent = time.monotonic(), 0
        while not self._stop.is_set():
            if sent > (time.monotonic() - begin) * self._rate:
                time.sleep(0.0005)
                continue
            self._publish()
            sent += BATCH

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def entrepot(bin_dir, transport, rate):
    launcher = systems.Launcher(bin_dir, 0, transport)
    system = launcher.start("entrepot", ["--feed", "tcp://127.0.0.1:0"])
    client = zmq.Context.instance().socket(zmq.DEALER)
    client.linger = 0
    try:
        client.connect(system.target)
        bodies = [b"".join(set_request(i, key) for i, key in enumerate(keys()[begin:begin + BATCH]))
                  for begin in range(0, 1000 - BATCH, BATCH)]
        state = {"next": 0, "outstanding": 0}

        def publish():
            client.send(bodies[state["next"] % len(bodies)])
            state["next"] += 1
            state["outstanding"] += 1
            while state["outstanding"] > 16 or client.poll(0):
                client.recv()
                state["outstanding"] -= 1

        ports = json.loads((system.folder / "ports.json").read_text(encoding="utf-8"))
        yield (Producer(rate, publish), int(ports["feed"].rpartition(":")[2]),
               int(ports["listen"][0].rpartition(":")[2]))
    finally:
        client.close()
        system.stop()


@contextlib.contextmanager
def redis(bin_dir, rate):
    system = systems.Launcher(bin_dir, 0, "zmq").start("redis")
    port = int(system.target.rpartition(":")[2])
    payload = "e" * event_bytes()
    batch = f"*3\r\n$7\r\nPUBLISH\r\n$4\r\nfeed\r\n${len(payload)}\r\n{payload}\r\n".encode() * BATCH
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            def publish():
                client.sendall(batch)
                replies = 0
                while replies < BATCH:
                    replies += client.recv(65536).count(b"\n")

            yield Producer(rate, publish), port
    finally:
        system.stop()


@contextlib.contextmanager
def bare_pub(bin_dir, rate):
    options = ["--rate", str(rate), "--event-bytes", str(event_bytes())]
    system = systems.Launcher(bin_dir, 0, "zmq").start("zmq-pub", options)
    try:
        yield contextlib.nullcontext(), int(system.target.rpartition(":")[2])
    finally:
        system.stop()


def delivered(bin_dir, kind, port, readers, seconds):
    done = subprocess.run(
        ["taskset", "-c", "1", str(bin_dir / "bench-fanout"), "--kind", kind, "--port", str(port),
         "--readers", str(readers), "--seconds", str(seconds), "--warm-up-seconds",
         str(WARM_UP_SECONDS)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["events_per_second"]


def measure(flags, name, readers):
    rate = min(RATE_MAX, DELIVERIES_OFFERED // readers)
    bin_dir = flags.bin_dir
    if name == "redis":
        with redis(bin_dir, rate) as (producer, port), producer:
            return delivered(bin_dir, "redis", port, readers, flags.seconds)
    if name == "bare PUB":
        with bare_pub(bin_dir, rate) as (producer, port), producer:
            return delivered(bin_dir, "sub", port, readers, flags.seconds)
    with entrepot(bin_dir, flags.transport, rate) as (producer, feed, requests), producer:
        if name == "entrepot SUB":
            return delivered(bin_dir, "sub", feed, readers, flags.seconds)
        return delivered(bin_dir, "watch", requests, readers, flags.seconds)


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--bin-dir", type=pathlib.Path, default=ROOT / "build" / "bin")
    flags.add_argument("--transport", default="zmq", choices=("zmq", "native"))
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--seconds", type=float, default=2)
    flags.add_argument("--readers", type=int, nargs="*", default=READERS)
    flags = flags.parse_args()
    names = ("entrepot SUB", "entrepot watch", "bare PUB", "redis")
    lines = [f"# Fan-out, transport {flags.transport}", "",
             f"Events delivered a second, medians of {flags.rounds} alternating rounds of "
             f"{flags.seconds:g} s; least and most in brackets. Offered: {RATE_MAX:,} changes a "
             f"second, or what makes {DELIVERIES_OFFERED:,} deliveries. Events of "
             f"{event_bytes()} bytes. Server on core 0, readers and writers on core 1.", "",
             "| readers | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for readers in flags.readers:
        samples = {name: [] for name in names}
        for _ in range(flags.rounds):
            for name in names:
                samples[name].append(measure(flags, name, readers))
        cells = [f"{statistics.median(s):,.0f} ({min(s):,.0f}–{max(s):,.0f})"
                 for s in samples.values()]
        lines.append(f"| {readers:,} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    versions = ", ".join(f"{package} {(machine.describe_package(package) or {}).get('version')}"
                         for package in ("libzmq5", "redis-server"))
    lines += ["", f"{', '.join(machine.describe_machine().values())}; {versions}."]
    suffix = "" if flags.transport == "zmq" else "-native"
    target = ROOT / "docs" / "benchmarks" / f"fanout{suffix}.md"
    target.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
