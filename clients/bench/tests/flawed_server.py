"""A small server that speaks Entrepôt's protocol and has the flaws a test asks for.

It is the tester's own test object: a load tester is believed when it shows a stall that is known
to be there, and finds a wrong answer that was planted.

    flawed_server.py --ports-file FILE [--stall-ms N --stall-every-ms N]
                     [--wrong-every N --lie KIND]
"""

import argparse
import json
import os
import signal
import time

import msgpack
import zmq


class Store:
    """Keys and values, and every n-th answer of one kind wrong."""

    def __init__(self, wrong_every, lie):
        self.values = {}
        self.version = 0
        self.wrong_every = wrong_every
        self.lie = lie
        self.answers = 0

    def answer(self, method, params):
        """The result map of one request."""
        handler = getattr(self, "do_" + method)
        result = handler(*params)
        if method == self.lie:
            self.answers += 1
            if self.wrong_every and self.answers % self.wrong_every == 0:
                return self.spoil(method, result)
        return result

    @staticmethod
    def spoil(method, result):
        if method in ("find", "scan"):
            return dict(result, keys=result["keys"][:-1])
        if method == "increment":
            return dict(result, value=result["value"] + 1)
        if method == "get" and "value" in result:
            value = result["value"]
            return dict(result, value=value[:-1] + ("0" if value[-1] != "0" else "1"))
        return dict(result, status="created" if result["status"] != "created" else "updated")

    def do_ping(self):
        return {"status": "ok"}

    def do_stats(self):
        return {"keys": len(self.values)}

    def do_get(self, key):
        if key not in self.values:
            return {"status": "not_found", "version": 0}
        value, version = self.values[key]
        return {"status": "found", "version": version, "value": value}

    def do_set(self, key, value):
        status = "updated" if key in self.values else "created"
        self.version += 1
        self.values[key] = (value, self.version)
        return {"version": self.version, "status": status}

    def do_delete(self, key):
        found = self.values.pop(key, None)
        return {"status": "deleted" if found else "not_found", "version": self.version}

    def do_increment(self, key, by):
        value, _ = self.values.get(key, (0, 0))
        self.do_set(key, value + by)
        return {"status": "updated", "value": value + by, "version": self.version}

    def do_find(self, prefix):
        hits = sorted(
            (value, key)
            for key, (value, _) in self.values.items()
            if isinstance(value, str) and value.startswith(prefix)
        )
        status = "found" if hits else "not_found"
        return {"status": status, "keys": [key for _, key in hits], "version": self.version}

    def do_scan(self, prefix):
        keys = sorted(key for key in self.values if key.startswith(prefix))
        return {"keys": keys, "status": "found" if keys else "not_found", "version": self.version}


def serve(arguments):
    store = Store(arguments.wrong_every, arguments.lie)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.RCVHWM, 0)
    router.setsockopt(zmq.SNDHWM, 0)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    partial = arguments.ports_file + ".partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump({"listen": [f"tcp://127.0.0.1:{port}"]}, file)
    os.rename(partial, arguments.ports_file)

    next_stall = time.monotonic() + arguments.stall_every_ms / 1000
    while True:
        if arguments.stall_ms and time.monotonic() >= next_stall:
            time.sleep(arguments.stall_ms / 1000)  # The flaw itself.
            next_stall += arguments.stall_every_ms / 1000
        if not router.poll(10):
            continue
        peer, body = router.recv_multipart()
        unpacker = msgpack.Unpacker(raw=False)
        unpacker.feed(body)
        reply = b"".join(
            msgpack.packb([1, msgid, None, store.answer(method, params)])
            for _, msgid, method, params in unpacker
        )
        router.send_multipart([peer, reply])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports-file", required=True)
    parser.add_argument("--stall-ms", type=int, default=0)
    parser.add_argument("--stall-every-ms", type=int, default=1000)
    parser.add_argument("--wrong-every", type=int, default=0)
    parser.add_argument("--lie", default="get")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(parser.parse_args())


if __name__ == "__main__":
    main()
