"""Very many watchers and subscribers at once, of whom a tenth stops reading now and then: the others
are told everything, requests are answered as fast as when all read, the server's memory stays in its
bound, and who stopped catches up or can tell that it has missed something.

ENTREPOT_NIGHTLY=1 has a thousand of each.
"""

from __future__ import annotations

import concurrent.futures
import os
import statistics
import time
from typing import Iterator, List

import pytest

from harness.audience import BULK, NEWS, Audience, Told
from harness.latency import GoodClients, assert_not_slower
from harness.peer import Peer
from harness.server import Server, start_server

NIGHTLY = bool(os.environ.get("ENTREPOT_NIGHTLY"))
COUNT = 1000 if NIGHTLY else 30
STOPPING = COUNT // 10
ROUNDS = 5
# Each change of the news is told 2,000 times: 10,000 messages a second and 400 requests leave two
# processors idle most of the time, also where the clients have to share them with the server.
NEWS_INTERVAL_S = 0.2
REQUEST_INTERVAL_S = 0.0025
ROUND_S = 3.0 if NIGHTLY else 0.6
# What fills the connections of those who have stopped, the kernel's buffers of 4 MiB among it. The
# ring has all of it, so that a watch loses nothing.
BULK_EVENTS = 400
BULK_KEYS = 10
BULK_VALUE = b"v" * 20_000
TIMEOUT_S = 120.0
# Notifications or publications of one that stopped, and what all hold together: as in
# test_feed_load.py.
STOPPED_BYTES = 5 << 20
OTHER_BYTES = 256 << 20

pytestmark = pytest.mark.alone


@pytest.fixture
def server(transport: str) -> Iterator[Server]:
    with start_server(feed="tcp://127.0.0.1:0") as started:
        yield started
        assert started.stop() == 0, started.log()


class Newsroom:
    """Writes the changes that the audience is told of."""

    def __init__(self, peer: Peer):
        self._peer = peer
        self.news: List[int] = []
        self.bulk = 0

    def tell_news(self) -> None:
        self.news.append(self._peer.call("set", NEWS + "today", len(self.news))["version"])

    def tell_bulk(self, events: int, value: bytes) -> None:
        for number in range(events):
            self._peer.call("set", f"{BULK}{number % BULK_KEYS}", value)
        self.bulk += events

    def measure(self, clients: GoodClients) -> float:
        """The clients' 99th percentile while there are news."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            measured = pool.submit(clients.round)
            while not measured.done():
                self.tell_news()
                concurrent.futures.wait([measured], NEWS_INTERVAL_S)
            return measured.result()

    def tell_until_heard(self, audience: Audience) -> List[Told]:
        """Until all have been told the newest: a subscriber's queue may be full for a while."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            self.tell_bulk(BULK_KEYS, b"last")
            self.tell_news()
            told = audience.wait_for_news(self.news[-1], timeout_s=2.0)
            if all(one.news[-1:] == self.news[-1:] for one in told):
                return told
        raise TimeoutError(f"not all have been told the newest within {TIMEOUT_S} s")


def expect_everything(told: List[Told], newsroom: Newsroom) -> None:
    """For those who read all the time."""
    for one in told:
        assert one.faults == [] and one.gaps == 0, one
        assert one.news == newsroom.news


def expect_all_or_a_gap(told: List[Told], newsroom: Newsroom) -> None:
    """For those who had stopped: a watch has everything, a subscriber sees that it has not."""
    for one in told:
        assert one.faults == [], one
        missing = len(newsroom.news) - len(one.news) + newsroom.bulk - one.bulk
        if one.is_watcher:
            assert (missing, one.gaps) == (0, 0), one
        else:
            assert (missing > 0) == (one.gaps > 0), (missing, one)


def test_a_tenth_that_stops_costs_the_others_nothing(server: Server) -> None:
    calm, stopped = [], []
    with Peer(server.endpoint) as peer, \
            GoodClients(server.endpoint, ROUND_S, REQUEST_INTERVAL_S) as clients, \
            Audience(server.endpoint, server.feed, COUNT, STOPPING) as audience:
        newsroom = Newsroom(peer)
        before, grown = server.resident_bytes(), 0
        for _ in range(ROUNDS):
            calm.append(newsroom.measure(clients))
            audience.let_some_stop()
            newsroom.tell_bulk(BULK_EVENTS, BULK_VALUE)
            stopped.append(newsroom.measure(clients))
            grown = max(grown, server.resident_bytes() - before)
            told = audience.wait_for_news(newsroom.news[-1], TIMEOUT_S)
            expect_everything([one for one in told if not one.may_stop], newsroom)
            audience.let_all_read()
            told = newsroom.tell_until_heard(audience)
            expect_all_or_a_gap([one for one in told if one.may_stop], newsroom)
        lost = sum(one.gaps > 0 for one in told)
    print(f"{COUNT} watchers and {COUNT} subscribers, p99 of requests in ms: all read "
          f"{1e3 * statistics.median(calm):.2f}, a tenth has stopped "
          f"{1e3 * statistics.median(stopped):.2f}; memory grew by {grown >> 20} MiB; "
          f"{lost} of {STOPPING} subscribers that stopped have seen a gap; "
          f"all of calm {[round(1e3 * value, 2) for value in calm]}, "
          f"stopped {[round(1e3 * value, 2) for value in stopped]}")
    assert grown < 2 * STOPPING * STOPPED_BYTES + OTHER_BYTES, grown
    assert_not_slower(calm, stopped)
