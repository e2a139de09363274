#!/usr/bin/python3
"""Keeps a dictionary current with nothing but zmq and msgpack: raw_watcher.py [SERVER [PREFIX]].

ZeroMQ hides reconnections, but the server says something each second. So who hears nothing for
three seconds watches again, behind the last revision up to which it was told everything.
"""

import sys

import msgpack
import zmq

SERVER = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
PREFIX = sys.argv[2] if len(sys.argv) > 2 else "price:"
SILENCE_MS = 3000
RESPONSE = 1
entries = {}


def watch(token):
    """Keeps `entries` current as long as something is heard; what to watch behind next time."""
    begin = {"since": token}
    if token is None:
        begin = {"snapshot": True}
        entries.clear()
    with zmq.Context.instance().socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(SERVER)
        socket.send(msgpack.packb([0, 1, "watch", [{"key_prefix": PREFIX, **begin}]]))
        while socket.poll(SILENCE_MS):
            kind, *fields = msgpack.unpackb(socket.recv())
            if kind == RESPONSE:  # [1, msgid, error, result]
                error, result = fields[1:]
                if error and error["code"] in ("history_lost", "unknown_history"):
                    return None  # Only a new snapshot helps.
                continue
            _, events, status = fields[1]  # [2, "events", [watch, [event…], status]]
            for event in events:
                if event["op"] == "set":
                    entries[event["key"]] = event["value"]
                elif event["op"] == "delete":
                    entries.pop(event["key"], None)
            if token or status["synced"]:  # Before that, not everything was told.
                token = [result["history"], status["version"]]
            if events and token:
                print(f"revision {token[1]}:", entries, flush=True)
    return token


token = None
try:
    while True:
        token = watch(token)
        print("watching again behind", token, flush=True)
except KeyboardInterrupt:
    pass  # The wanted end.
