#!/usr/bin/python3
"""Changes settings of configuration_reload.py, all at once: configure.py NAME=VALUE... [NAME=]

A name without a value goes back to its default.
"""

import sys

from checkout import entrepot
from entrepot import Operation

PREFIX = "config:greeter:"

pairs = [argument.partition("=")[::2] for argument in sys.argv[1:]]
with entrepot.Client() as client:
    client.transact(
        [
            Operation.set(PREFIX + name, int(value) if value.isdigit() else value)
            if value
            else Operation.delete(PREFIX + name)
            for name, value in pairs
        ]
    )
