"""What is measured, as data: the rows of the table and the goals of each.

A row has cases; each case is one system with one way to ask it. All cases of a row are started
side by side and measured in turn, round after round. A goal compares the medians of two cases, or
one median with a constant. Figures are named as in `FIGURES` of measure.py.
"""

from dataclasses import dataclass, field, replace

GET_50_BY_16 = ("--clients", 50, "--outstanding", 16, "--mix", "get=100")
SET_50_BY_16 = ("--clients", 50, "--outstanding", 16, "--mix", "set=100")
GET_64_A_BODY = ("--clients", 50, "--body", 64, "--mix", "get=100")
SET_64_A_BODY = ("--clients", 50, "--body", 64, "--mix", "set=100")
THOUSAND_FINDS = ("--background", "find=100;clients=1;outstanding=16;rate=1000")
FIND = ("--clients", 50, "--mix", "find=100")
GOOD_CLIENTS = ("--clients", 45, "--outstanding", 16, "--rate", 50000, "--mix", "get=100")
HALF_SET_AT_50000 = ("--clients", 50, "--rate", 50000, "--mix", "get=50,set=50")
TEN_THOUSAND_SETS = ("--background", "set=100;clients=10;outstanding=16;rate=10000")


@dataclass
class Case:
    """One system in a row."""

    name: str                   # Unique in its row.
    system: str                 # As Launcher.NAMES.
    options: tuple              # Of entrepot-bench.
    server_options: tuple = ()
    fresh: bool = False         # A new server for every round (memory).
    own_server: bool = False    # No other case asks it: what this one asks changes what others cost.
    snapshots: bool = False     # The server writes them all the time.


@dataclass
class Goal:
    """`figure` of `case`, divided by that of `over` (if any), is at least or at most `limit`."""

    text: str
    case: str
    figure: str
    limit: float
    over: str = ""
    over_figure: str = ""       # The same as `figure` if empty.
    at_most: bool = False
    transport: str = ""         # Only of this transport; of all if empty.


@dataclass
class Row:
    number: str
    title: str
    figures: tuple
    cases: list
    goals: list = field(default_factory=list)
    throughput: bool = True      # A round counts only if the server's core was busy.
    same_core: bool = False      # Tester and server share a core.
    seconds: float = 0           # Of a measurement, where the row is about that; 0: as asked for.
    warm_up: float = 1           # Seconds before it.
    keys: int = 1_000_000
    default: bool = True         # Part of a run that names no rows.
    each_transport: bool = False  # Measured on each that is asked for, not on the first alone.


def entrepot_and(systems, options):
    return [Case(system, system, options) for system in ("entrepot", *systems)]


def on_transports(row, transports):
    """The row with Entrepôt's cases and goals for each transport, which their names tell."""
    transports = transports if row.each_transport else transports[:1]

    def on(name, transport):
        return name.replace("entrepot", f"entrepot {transport}", 1)

    cases = [ours for case in row.cases for ours in (
        [replace(case, name=on(case.name, transport), system=f"entrepot-{transport}")
         for transport in transports] if case.system == "entrepot" else [case])]
    goals = [replace(goal, text=f"{transport}: {goal.text}", case=on(goal.case, transport),
                     over=on(goal.over, transport))
             for goal in row.goals for transport in transports
             if goal.transport in ("", transport)]
    return replace(row, cases=cases, goals=goals)


ROWS = [
    Row("1", "GET, one request a message, 50 clients x 16 outstanding",
        ("rate", "server_cpu_ns", "p50_ns", "p99_ns"),
        entrepot_and(("zmq-echo", "epoll-echo", "redis", "memcached", "memcached-meta"),
                     GET_50_BY_16),
        [Goal("rate at least 0.75 x the libzmq echo", "entrepot", "rate", 0.75, "zmq-echo",
              transport="zmq"),
         Goal("rate at least 1.2 x Redis", "entrepot", "rate", 1.2, "redis", transport="zmq"),
         Goal("server CPU at most 0.75 x the libzmq echo", "entrepot", "server_cpu_ns", 0.75,
              "zmq-echo", at_most=True, transport="native"),
         Goal("server CPU at most 0.4 x Redis", "entrepot", "server_cpu_ns", 0.4, "redis",
              at_most=True, transport="native")],
        each_transport=True),
    Row("2", "64 requests a body, 50 clients",
        ("rate", "server_cpu_ns", "p99_ns"),
        [Case("entrepot GET", "entrepot", GET_64_A_BODY),
         Case("redis GET", "redis", GET_64_A_BODY),
         Case("memcached-meta GET", "memcached-meta", GET_64_A_BODY),
         Case("entrepot SET", "entrepot", SET_64_A_BODY),
         Case("redis SET", "redis", SET_64_A_BODY),
         Case("memcached-meta SET", "memcached-meta", SET_64_A_BODY),
         Case("entrepot SET, 1,000 finds/s", "entrepot", (*SET_64_A_BODY, *THOUSAND_FINDS),
              own_server=True)],
        [Goal("GET at least 5 x Redis -P 64", "entrepot GET", "rate", 5, "redis GET"),
         Goal("SET at least 3.5 x Redis -P 64", "entrepot SET", "rate", 3.5, "redis SET"),
         Goal("SET with 1,000 finds/s at least 2 x Redis without",
              "entrepot SET, 1,000 finds/s", "rate", 2, "redis SET")],
        each_transport=True),
    Row("3", "One client, one outstanding, server and tester on one core",
        ("p50_ns", "p99_ns", "rate"),
        entrepot_and(("zmq-echo", "epoll-echo", "redis", "memcached"),
                     ("--clients", 1, "--mix", "get=100")),
        [Goal("p50 at most 1.05 x the libzmq echo", "entrepot", "p50_ns", 1.05, "zmq-echo",
              at_most=True, transport="zmq"),
         Goal("p50 at most 0.95 x the libzmq echo", "entrepot", "p50_ns", 0.95, "zmq-echo",
              at_most=True, transport="native")],
        throughput=False, same_core=True, each_transport=True),
    Row("4", "Durable SET, 50 clients x 16; GET beside durable SETs",
        ("rate", "server_cpu_ns", "get_p50_ns"),
        [Case("entrepot SET", "entrepot", SET_50_BY_16,
              ("--durable",)),
         Case("redis SET", "redis", SET_50_BY_16,
              ("--appendonly", "yes", "--appendfsync", "always")),
         Case("entrepot SET, --sync 1s", "entrepot", SET_50_BY_16, ("--durable", "--sync", "1s")),
         Case("redis SET, everysec", "redis", SET_50_BY_16,
              ("--appendonly", "yes", "--appendfsync", "everysec")),
         Case("entrepot GET", "entrepot", ("--clients", 50, "--rate", 50000, "--mix", "get=100"),
              ("--durable",)),
         Case("entrepot GET 90, SET 10", "entrepot",
              ("--clients", 50, "--rate", 50000, "--mix", "get=90,set=10"), ("--durable",))],
        [Goal("at least 2 x Redis appendfsync always", "entrepot SET", "rate", 2, "redis SET"),
         Goal("--sync 1s at least 1.5 x Redis everysec", "entrepot SET, --sync 1s", "rate", 1.5,
              "redis SET, everysec"),
         Goal("GET p50 in the mix at most 1.2 x GET alone", "entrepot GET 90, SET 10",
              "get_p50_ns", 1.2, "entrepot GET", at_most=True)],
        throughput=False, default=False),
    Row("5", "find of 10 hits among 1 M values; ours while 10,000 SET/s change indexed values",
        ("rate", "server_cpu_ns", "p50_ns", "background_p99_ns"),
        [Case("entrepot find, 10,000 SET/s", "entrepot", (*FIND, *TEN_THOUSAND_SETS)),
         Case("entrepot find alone", "entrepot", FIND),
         Case("redis ZRANGEBYLEX alone", "redis", FIND)],
        [Goal("at least 1.5 x Redis ZRANGEBYLEX without writes", "entrepot find, 10,000 SET/s",
              "rate", 1.5, "redis ZRANGEBYLEX alone"),
         Goal("SET p99 at most 1 ms", "entrepot find, 10,000 SET/s", "background_p99_ns", 1e6,
              at_most=True)],
        each_transport=True),
    Row("8", "GET and SET at 50,000 a second while snapshots are written all the time",
        ("p99_9_ns", "p99_ns", "server_cpu_ns"),
        [Case(name + suffix, system, HALF_SET_AT_50000, options, snapshots=snapshots)
         for name, system, options in (("entrepot", "entrepot", ("--durable", "--sync", "1s")),
                                       ("redis", "redis", ()))
         for suffix, snapshots in (("", False), (", snapshots", True))],
        [Goal("p99.9 at most 2 x without", "entrepot, snapshots", "p99_9_ns", 2, "entrepot",
              at_most=True)],
        throughput=False, default=False),
    Row("9", "10,000 connected clients against 100, one outstanding each",
        ("rate", "server_cpu_ns", "resident_bytes_per_client"),
        [Case(f"{system} {clients}", system, ("--clients", clients, "--mix", "get=100"), fresh=True)
         for system in ("entrepot", "zmq-echo", "epoll-echo", "redis") for clients in (100, 10000)],
        [Goal("keeps at least 0.9 x of what the libzmq echo keeps", "entrepot 10000",
              "kept_of_100", 0.9, "zmq-echo 10000", transport="zmq"),
         Goal("keeps at least 0.9 x of what the epoll echo keeps", "entrepot 10000",
              "kept_of_100", 0.9, "epoll-echo 10000", transport="native"),
         Goal("at most 40 KiB of memory a client", "entrepot 10000", "resident_bytes_per_client",
              40 * 1024, at_most=True, transport="zmq"),
         Goal("at most 16 KiB of memory a client", "entrepot 10000", "resident_bytes_per_client",
              16 * 1024, at_most=True, transport="native")],
        keys=100_000, each_transport=True),
    Row("10", "45 clients at 50,000 requests/s; and beside them 5 that never read",
        ("p99_ns", "p50_ns", "server_cpu_ns"),
        [Case("entrepot", "entrepot", GOOD_CLIENTS),
         Case("entrepot, 5 never read", "entrepot", (*GOOD_CLIENTS, "--slow", 5))],
        [Goal("p99 at most 1.3 x without them", "entrepot, 5 never read", "p99_ns", 1.3, "entrepot",
              at_most=True, transport="native")],
        # Those that never read send until no socket takes more; that is over by then.
        throughput=False, warm_up=6, each_transport=True),
    Row("12", "Two finders and two writers (16 outstanding each)",
        ("rate", "background_rate", "p99_ns", "max_ns"),
        [Case("entrepot", "entrepot",
              ("--clients", 2, "--outstanding", 16, "--mix", "set=100", "--background",
               "find=100;clients=2"))],
        [Goal("no write waits longer than 100 ms", "entrepot", "worst_max_ns", 100e6, at_most=True),
         Goal("at least 50,000 SET/s", "entrepot", "rate", 50_000)],
        throughput=False, seconds=30),
    Row("depth", "CPU a request, by clients x outstanding requests of each", ("server_cpu_ns", "rate"),
        [Case(f"{system}, {clients} x {outstanding}", system,
              ("--clients", clients, "--outstanding", outstanding, "--mix", "get=100"))
         for clients in (1, 64, 1000) for outstanding in (1, 16, 128)
         for system in ("entrepot", "zmq-echo", "epoll-echo")],
        throughput=False, keys=100_000, default=False, each_transport=True),
]


@dataclass
class MemoryCase:
    """Bytes an entry of one system after loading."""

    name: str
    system: str
    touch: tuple = ()   # What is asked once after loading, to build indexes.


MEMORY_ENTRIES = (500_000, 1_000_000, 2_000_000, 4_000_000)
MEMORY_CASES = [
    MemoryCase("entrepot", "entrepot"),
    MemoryCase("entrepot, both indexes", "entrepot", ("--mix", "find=50,scan=50")),
    MemoryCase("redis", "redis"),
    MemoryCase("memcached", "memcached"),
]
MEMORY_GOALS = [("entrepot", 0.75), ("entrepot, both indexes", 1.1)]  # At most so many x Redis.
