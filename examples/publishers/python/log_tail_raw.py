#!/usr/bin/python3
"""The lines of a log, published with nothing but zmq and msgpack; see log_tail.py."""

from log_tail import main
from without_client import RawSender

main(RawSender)
