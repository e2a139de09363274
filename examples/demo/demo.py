#!/usr/bin/python3
"""A tour of Entrepôt with nothing but ZeroMQ and msgpack: each line shows a request and its answer.

    demo.py [--server tcp://127.0.0.1:5555]

It writes keys that start with "demo:" and removes them at the end.
"""

import argparse
import sys
import time

import msgpack
import zmq


class Store:
    """One DEALER socket; a request is a MessagePack-RPC array, and so is its response."""

    def __init__(self, server):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(server)
        self.msgid = 0

    def call(self, method, *params):
        self.msgid += 1
        self.socket.send(msgpack.packb([0, self.msgid, method, params]))
        if not self.socket.poll(5000):
            sys.exit("no server answered within 5 seconds")
        _, _, error, result = msgpack.unpackb(self.socket.recv())
        return error or result


def show(store, method, *params):
    result = store.call(method, *params)
    # Versions differ from run to run; what matters here is all else.
    shown = {name: value for name, value in result.items() if name not in ("version", "examined")}
    print(f"{method}{params!r} -> {shown}")
    return result


def main():
    parser = argparse.ArgumentParser(description="A tour of Entrepôt.")
    parser.add_argument("--server", default="tcp://127.0.0.1:5555")
    store = Store(parser.parse_args().server)
    store.call("delete_prefix", "demo:")

    print("# A key is created, updated, found, and not found.")
    show(store, "set", "demo:sky", "blue, mostly")
    first = show(store, "set", "demo:sky", "blue")
    show(store, "get", "demo:sky")
    show(store, "get", "demo:grass")

    print("# Values are any msgpack; these are found by how they start.")
    show(store, "set", "demo:sea", "blue-green")
    show(store, "set", "demo:sun", "yellow")
    show(store, "set", "demo:weather", {"wind": 12, "rain": False})
    show(store, "find", "blue", {"key_prefix": "demo:", "values": True})

    print("# A write can ask that nobody was faster.")
    show(store, "set", "demo:sky", "grey", {"if_version": first["version"]})
    show(store, "set", "demo:sky", "red", {"if_version": first["version"]})

    print("# Counters do not lose counts, and several keys change as one.")
    show(store, "increment", "demo:visits", 1)
    show(store, "increment", "demo:visits", 41)
    show(store, "transact", {
        "if": [["demo:visits", "value", "=", 42]],
        "then": [["set", ["demo:sun", "orange"]], ["delete", ["demo:sea"]]]})

    print("# An entry can expire.")
    show(store, "set", "demo:session", "open", {"ttl_ms": 100})
    time.sleep(0.15)
    show(store, "get", "demo:session")
    show(store, "delete_prefix", "demo:")


if __name__ == "__main__":
    main()
