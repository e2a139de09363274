#!/usr/bin/python3
"""Prints changes as the server publishes them: subscriber.py [FEED [PREFIX]]. Best effort.

It needs zmq and msgpack only. A message that was lost shows at the key's next change.
"""

import sys

import msgpack
import zmq

FEED = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5556"
PREFIX = sys.argv[2] if len(sys.argv) > 2 else "price:"

socket = zmq.Context.instance().socket(zmq.SUB)
socket.connect(FEED)
socket.subscribe(PREFIX)

versions = {}
try:
    while True:
        key, body = socket.recv_multipart()
        event = msgpack.unpackb(body)
        if event["previous_version"] != versions.get(key, event["previous_version"]):
            print("something was lost of", event["key"], flush=True)
        versions[key] = 0 if event["op"] == "delete" else event["version"]
        print(event["op"], event["key"], event.get("value"), flush=True)
except KeyboardInterrupt:
    pass  # The wanted end.
