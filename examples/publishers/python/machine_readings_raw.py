#!/usr/bin/python3
"""This machine's readings, published with nothing but zmq and msgpack; see machine_readings.py."""

from machine_readings import main
from without_client import RawSender

main(RawSender)
