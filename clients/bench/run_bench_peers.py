#!/usr/bin/env python3
"""`make bench-peers`: Entrepôt beside Redis, memcached and the bare echoes, in one run.

Starts its own redis-server and memcached on free ports (`make bench-peers` installs Debian's
packages), and writes docs/benchmarks/peers.md, .json and .html; with `--rows depth --name depth`
what a request costs by clients and outstanding requests, into depth.*.
"""

import shutil
import sys

from suite import campaign, rows, starts, watching

PACKAGES = {"redis-server": "redis-server", "memcached": "memcached"}  # Program and package.


def main():
    flags = campaign.parser(__doc__.splitlines()[0], "peers").parse_args()
    for program, package in PACKAGES.items():
        if not shutil.which(program):
            sys.exit(f"{program} is missing: `make bench-peers` installs {package}")
    table, with_memory = campaign.choose_rows(flags.rows, [*rows.ROWS, starts.ROW, watching.ROW])
    results, memory = campaign.run(flags, table, with_memory)
    described = campaign.facts(flags, ("libzmq5", *PACKAGES.values()))
    campaign.write(flags, "Entrepôt beside Redis, memcached and bare echoes", described,
                   results, memory)


if __name__ == "__main__":
    main()
