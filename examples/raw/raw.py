#!/usr/bin/python3
"""Talks to entrepot-server with nothing but pyzmq and msgpack: raw.py [--server ENDPOINT]."""

import argparse
import itertools

import msgpack
import zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--server", default="tcp://127.0.0.1:5555")
socket = zmq.Context.instance().socket(zmq.DEALER)
socket.linger = 0
socket.connect(parser.parse_args().server)
msgids = itertools.count(1)


def call_all(*calls):
    """Several requests in one message; their results, or the text of an error, in order."""
    sent = [[0, next(msgids), method, params] for method, *params in calls]
    socket.send(b"".join(msgpack.packb(request) for request in sent))
    if not socket.poll(5000):
        raise SystemExit("no answer within 5 seconds: is entrepot-server running?")
    unpacker = msgpack.Unpacker()
    unpacker.feed(socket.recv())
    answers = {msgid: result if error is None else f"{error['code']}: {error['message']}"
               for _, msgid, error, result in unpacker}
    return [answers[msgid] for _, msgid, *_ in sent]


def call(*request):
    return call_all(request)[0]


print("hello      ", call("hello", {"client": "raw.py"})["server"])
print("set        ", call("set", "raw.py/colour", "green"))
print("get        ", call("get", "raw.py/colour"))
print("conflict   ", call("set", "raw.py/colour", "red", {"if_version": 0}))
print("error      ", call("set", "raw.py/colour", "red", {"ttl": 60}))
print("expires    ", call("set", "raw.py/session", {"user": 7}, {"ttl_ms": 60000}))
print("one message", call_all(*[("increment", "raw.py/visits", 1)] * 3))
print("find       ", call("find", "gr", {"key_prefix": "raw.py/"}))
print("clean up   ", call("delete_prefix", "raw.py/")["deleted"], "entries deleted")
