"""Subscriptions of both clients to a real server's PUB endpoint, with losses on the way."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

from entrepot import Client, Delete, Expired, Resync, Set, aio, errors
from feed_relay import FeedRelay
from reading import read, read_later, read_until, versions
from server_process import ServerProcess
from test_lifecycle import files_of_this_process, threads_of_this_process, wait_until


@pytest.fixture(scope="module")
def publishing() -> Iterator[ServerProcess]:
    with ServerProcess(has_feed=True) as server:
        yield server


@pytest.fixture
def publisher(publishing: ServerProcess) -> Iterator[Client]:
    with Client(publishing.endpoint) as client:
        while client.delete_prefix("").more:
            pass
        yield client


def test_changes_come_with_their_types(publisher: Client) -> None:
    with publisher.subscribe("a") as events:
        assert events.token is not None
        publisher.set("b", "of no interest")
        first = publisher.set("a", 1).version
        publisher.delete("a")
        publisher.set("a", 2, ttl_ms=1)
        told = read(events, 4)
    assert told[0] == Set("a", 1, first, 0)
    assert told[1] == Delete("a", first + 1, first)
    assert isinstance(told[2], Set) and told[2].expires_at_ms is not None
    assert told[3] == Expired("a", first + 3, first + 2)


def test_what_is_lost_is_fetched_before_the_keys_next_change(
    publishing: ServerProcess, publisher: Client
) -> None:
    with FeedRelay(publishing.feed) as relay:
        with publisher.subscribe("a", feed=relay.endpoint) as events:
            sent = [publisher.set("a", 1).version]
            read(events, 1)
            relay.passes = lambda key, event: key == b"$heartbeat"
            sent += [publisher.set("a", 2).version, publisher.delete("a").version]
            sent += [publisher.set("a", 3).version]
            publisher.set("a other", 1)
            wait_until(lambda: len(relay.lost) == 4)
            relay.passes = lambda key, event: True
            sent += [publisher.set("a", 4).version]
            assert versions(read(events, 4)) == sent[1:]


def test_a_key_first_heard_of_with_a_gap_is_told_from_the_begin(
    publishing: ServerProcess, publisher: Client
) -> None:
    publisher.set("a", "before")
    with FeedRelay(publishing.feed) as relay:
        with publisher.subscribe("a", feed=relay.endpoint) as events:
            relay.passes = lambda key, event: key == b"$heartbeat"
            sent = [publisher.set("a", 1).version]
            wait_until(lambda: len(relay.lost) == 1)
            relay.passes = lambda key, event: True
            sent += [publisher.set("a", 2).version]
            assert versions(read(events, 2)) == sent


def test_a_pause_of_the_heartbeats_is_made_good(
    publishing: ServerProcess, publisher: Client
) -> None:
    with FeedRelay(publishing.feed) as relay:
        with publisher.subscribe("a", feed=relay.endpoint) as events:
            relay.passes = lambda key, event: False
            sent = [publisher.set(f"a{number}", number).version for number in range(5)]
            wait_until(lambda: not events.is_live)
            relay.passes = lambda key, event: True
            assert versions(read(events, 5)) == sent
            assert events.is_live


def test_a_durable_server_that_is_killed_is_made_good(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", has_feed=True) as server:
        with Client(server.endpoint) as client, client.subscribe("a") as events:
            sent: List[int] = []
            for number in range(2):
                sent.append(client.set("a", number).version)
                server.kill()
                server.start()
                sent.append(client.set(f"a{number}", number).version)
                told = versions(read(events, 2))
                assert sorted(told) == sent[-2:]


def test_a_store_that_is_lost_is_told_by_a_resync() -> None:
    with ServerProcess(has_feed=True) as server:
        with Client(server.endpoint) as client, client.subscribe("a") as events:
            client.set("a", 1)
            read(events, 1)
            server.kill()
            server.start()
            assert read(events, 1) == [Resync("unknown_history")]
            version = client.set("a", 2).version
            assert versions(read(events, 1)) == [version]


def test_a_reader_who_does_not_read_loses_nothing_that_shows(publisher: Client) -> None:
    with publisher.subscribe("a") as events:
        for _ in range(30):
            with publisher.pipeline() as pipeline:
                pending = [pipeline.increment("a") for _ in range(500)]
        last = pending[-1].result().version
        told = read_until(events, lambda event: versions([event]) == [last])
        assert len(told) == 15_000


def test_a_server_without_a_feed_is_told(shared_server: ServerProcess) -> None:
    with Client(shared_server.endpoint) as client:
        with pytest.raises(errors.InvalidArgument, match="publishes no feed"):
            client.subscribe("a")


def test_a_feed_that_says_nothing_is_a_timeout(publisher: Client) -> None:
    with pytest.raises(errors.Timeout, match="No heartbeat"):
        publisher.with_options(timeout_ms=200).subscribe("a", feed="tcp://127.0.0.1:1")
    with pytest.raises(errors.InvalidArgument):
        publisher.subscribe("a", feed="no endpoint")


def test_closing_leaves_nothing(publishing: ServerProcess, publisher: Client) -> None:
    def subscribe_and_drop() -> None:
        with Client(publishing.endpoint) as client:
            events = client.subscribe("a")
            closer = threading.Timer(0.05, events.close)
            closer.start()
            assert list(events) == []
            closer.join()
            client.subscribe("a")

    subscribe_and_drop()
    threads, files = threads_of_this_process(), files_of_this_process()
    for _ in range(2):
        subscribe_and_drop()
    wait_until(lambda: threads_of_this_process() <= threads)
    wait_until(lambda: files_of_this_process() <= files)


def test_asyncio_subscribes_the_same(publishing: ServerProcess, publisher: Client) -> None:
    async def work() -> None:
        async with aio.Client(publishing.endpoint) as mine:
            async with mine.subscribe("a") as events:
                sent = [(await mine.set("a", number)).version for number in range(10)]
                assert versions(await read_later(events, 10)) == sent

    asyncio.run(work())
    files = files_of_this_process()
    asyncio.run(work())
    wait_until(lambda: files_of_this_process() <= files)
