#!/usr/bin/python3
"""A price feed, published with nothing but zmq and msgpack; see price_feed.py."""

from price_feed import main
from without_client import RawSender

main(RawSender)
