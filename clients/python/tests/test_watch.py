"""Watches of both clients against a real server that is stopped, killed and stalled under them."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, List

import pytest

from chaos_proxy import ChaosProxy, Fates
from entrepot import (
    Client,
    Delete,
    Events,
    Expired,
    Left,
    Operation,
    Resync,
    Set,
    Snapshot,
    Synced,
    Token,
    Touch,
    aio,
    errors,
)
from reading import read, read_later, read_synced, read_until, versions
from server_process import ServerProcess
from test_lifecycle import files_of_this_process, threads_of_this_process, wait_until


def test_the_snapshot_comes_first_and_then_every_change(client: Client) -> None:
    client.set("a:1", "one")
    client.set("b:1", "other")
    version = client.set("a:2", "two", ttl_ms=600_000).version
    with client.watch("a:") as events:
        told = read_synced(events)
        assert {(type(event), event.key, event.value) for event in told} == {  # type: ignore
            (Snapshot, "a:1", "one"),
            (Snapshot, "a:2", "two"),
        }
        assert all(event.expires_at_ms for event in told if event.key == "a:2")  # type: ignore
        client.set("b:1", "not watched")
        set_version = client.set("a:2", "three").version
        deleted = client.delete("a:1").version
        assert read(events, 2) == [
            Set("a:2", "three", set_version, version),
            Delete("a:1", deleted, version - 2),
        ]


def test_each_kind_of_event_has_its_type(client: Client) -> None:
    with client.watch("k", snapshot=False) as events:
        assert isinstance(read(events, 1)[0], Synced)
        client.transact([Operation.set("k", 1), Operation.set("k2", 2)])
        client.touch("k", 60_000)
        client.set("k", 3, ttl_ms=1)
        told = read_until(events, lambda event: isinstance(event, Expired))
    first, second, touch, third, expired = told
    assert isinstance(first, Set) and isinstance(second, Set) and isinstance(third, Set)
    assert (first.version, first.cause) == (second.version, "transaction")
    assert isinstance(touch, Touch) and touch.expires_at_ms is not None
    assert expired == Expired("k", third.version + 1, third.version)


def test_a_query_tells_what_comes_and_what_leaves(client: Client) -> None:
    client.set("lamp", "red")
    client.set("door", "shut")
    with client.watch(query="red") as events:
        assert [event.key for event in read_synced(events)] == ["lamp"]  # type: ignore
        client.set("door", "red too")
        client.set("lamp", "green")
        client.delete("door")
        door, lamp, gone = read(events, 3)
    assert isinstance(door, Set) and isinstance(lamp, Left) and isinstance(gone, Left)
    assert (lamp.key, gone.key) == ("lamp", "door")


def test_values_can_be_left_out(client: Client) -> None:
    client.set("a", "long")
    with client.watch(values=False) as events:
        (entry,) = read_synced(events)
        client.set("a", "longer")
        (change,) = read(events, 1)
    assert isinstance(entry, Snapshot) and entry.value is None
    assert isinstance(change, Set) and change.value is None


def test_a_token_resumes_where_another_watch_ended(client: Client) -> None:
    with client.watch("a") as events:
        assert events.token is None
        read_synced(events)
        client.set("a", 1)
        read(events, 1)
        token = events.token
    assert token is not None
    missed = [client.set("a", 2).version, client.delete("a").version]
    with client.watch("a", since=token) as events:
        assert versions(read(events, 3)) == missed
        assert events.token is not None and events.token.revision >= missed[-1]


def test_the_token_moves_on_where_nothing_is_told(client: Client) -> None:
    with client.watch("quiet") as events:
        read_synced(events)
        version = client.set("loud", 1).version
        wait_until(lambda: events.token is not None and events.token.revision >= version)


def test_a_change_made_after_watch_has_returned_is_told(client: Client) -> None:
    for number in range(20):
        with client.watch("a", snapshot=False) as events:
            version = client.set("a", number).version
            assert versions(read(events, 2)) == [version]


def test_a_thousand_events_pass_a_small_credit_in_order(client: Client) -> None:
    with client.watch("a", credit=3) as events:
        with client.pipeline() as pipeline:
            pending = [pipeline.set("a", number) for number in range(1000)]
        read_synced(events)
        told = read(events, 1000)
    assert versions(told) == [one.result().version for one in pending]


def test_a_reader_who_does_not_read_holds_up_nobody(client: Client) -> None:
    with client.watch("a", credit=10) as lazy, client.watch("a") as eager:
        for number in range(200):
            client.set("a", number)
        read_synced(eager)
        assert len(read(eager, 200)) == 200
        assert client.get("a") == 199
        read_synced(lazy)
        assert len(read(lazy, 200)) == 200


def test_many_watches_share_a_connection(client: Client) -> None:
    watches = [client.watch(f"{number}:") for number in range(50)]
    for events in watches:
        read_synced(events)
    for number in range(50):
        client.set(f"{number}:", number)
    for number, events in enumerate(watches):
        (change,) = read(events, 1)
        assert isinstance(change, Set) and change.value == number
        events.close()
    wait_until(lambda: client.stats()["watches"] == 0)


@pytest.mark.parametrize("shape", [{"credit": 0}, {"query": {"wrong": 1}}, {"query": []}])
def test_a_wrong_argument_is_raised_at_once(client: Client, shape: Any) -> None:
    with pytest.raises(errors.InvalidArgument):
        client.watch("a", **shape)


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with Client("tcp://127.0.0.1:1", connect_wait_ms=100) as client:
        with pytest.raises(errors.Unreachable):
            client.watch("a")


# Healing.


def test_a_durable_server_that_is_killed_is_resumed_unseen(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, Client(server.endpoint) as client:
        with client.watch("a") as events:
            read_synced(events)
            sent: List[int] = []
            told: List[int] = []
            for number in range(3):
                sent += [client.set("a", number).version, client.set(f"a{number}", 0).version]
                server.kill()
                server.start()
                sent.append(client.set("a", "after").version)
                told += versions(read_until(events, lambda event: event == last(client, event)))
            assert told == sent


def last(client: Client, event: Any) -> Any:
    """The event itself if it is that of the newest version of its key "a"."""
    entry = client.entry("a")
    is_last = isinstance(event, Set) and entry is not None and event.version == entry.version
    return event if is_last and event.value == "after" else None


def test_a_store_that_is_lost_is_told_by_a_resync(server: ServerProcess) -> None:
    with Client(server.endpoint) as client:
        client.set("a", "old")
        with client.watch("a", snapshot=False) as events:
            read_synced(events)
            server.kill()
            server.start()
            version = client.set("a", "new").version
            # The watch may be back before the change, or behind it.
            resync, *told = read(events, 3)
    assert resync == Resync("unknown_history")
    assert versions(told) == [version]


def test_an_unknown_token_is_told_by_a_resync(client: Client) -> None:
    client.set("a", 1)
    with client.watch("a", since=Token("f" * 16, 1)) as events:
        resync, entry, synced = read(events, 3)
    assert resync == Resync("unknown_history")
    assert isinstance(entry, Snapshot) and isinstance(synced, Synced)


def test_silence_renews_the_connection(shared_server: ServerProcess, client: Client) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), seed=1) as proxy:
        with Client(proxy.endpoint) as stalled, stalled.watch("a") as events:
            read_synced(events)
            assert events.is_live
            proxy.is_stalled = True
            version = client.set("a", 1).version
            wait_until(lambda: not events.is_live)
            proxy.is_stalled = False
            assert versions(read(events, 2)) == [version]
            assert events.is_live


def test_a_connection_that_is_cut_is_resumed_at_once(
    shared_server: ServerProcess, client: Client
) -> None:
    with ChaosProxy(shared_server.endpoint, Fates(), seed=1) as proxy:
        with Client(proxy.endpoint) as cut, cut.watch("a") as events:
            read_synced(events)
            for number in range(5):
                proxy.cut_all()
                version = client.set("a", number).version
                assert version in versions(read_until(events, lambda e: isinstance(e, Synced))) or (
                    versions(read(events, 1)) == [version]
                )


def test_no_connection_is_needed_to_close(server: ServerProcess) -> None:
    client = Client(server.endpoint)
    events = client.watch("a")
    server.kill()
    events.close()
    client.close()
    server.start()


# Ending.


def test_closing_from_another_thread_ends_the_iteration(client: Client) -> None:
    with client.watch("a") as events:
        closer = threading.Timer(0.05, events.close)
        closer.start()
        assert [type(event) for event in events] == [Synced]
        closer.join()
        assert list(events) == []
    wait_until(lambda: client.stats()["watches"] == 0)


def test_closing_the_client_ends_the_iteration_with_closed(shared_server: ServerProcess) -> None:
    client = Client(shared_server.endpoint)
    events = client.watch("a")
    read_synced(events)
    closer = threading.Timer(0.05, client.close)
    closer.start()
    with pytest.raises(errors.Closed):
        next(events)
    closer.join()
    events.close()


def test_a_watch_that_is_dropped_is_closed_and_leaves_nothing(
    shared_server: ServerProcess, client: Client
) -> None:
    def watch_and_drop() -> None:
        with Client(shared_server.endpoint) as other:
            for _ in range(20):
                other.watch("a")
            wait_until(lambda: client.stats()["watches"] == 0)
            other.watch("a")

    watch_and_drop()
    threads, files = threads_of_this_process(), files_of_this_process()
    for _ in range(3):
        watch_and_drop()
    wait_until(lambda: threads_of_this_process() <= threads)
    wait_until(lambda: files_of_this_process() <= files)


def test_a_watch_keeps_its_client(shared_server: ServerProcess, client: Client) -> None:
    events = Client(shared_server.endpoint).watch("a")
    read_synced(events)
    client.set("a", 1)
    assert len(read(events, 1)) == 1
    events.close()


def test_a_watch_is_closed_in_a_forked_child(client: Client) -> None:
    with client.watch("a") as events:
        read_synced(events)
        process = os.fork()
        if process == 0:
            status = 1
            try:
                next(events)
            except errors.Closed:
                events.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        client.set("a", 1)
        assert len(read(events, 1)) == 1


# changes.


def test_changes_gives_every_change_after_a_token(client: Client) -> None:
    hello = client.hello()
    token = Token(hello.history, hello.version)
    sent = [client.set(f"a{number}", number).version for number in range(25)]
    client.set("b", 1)
    changes = client.changes(token, key_prefix="a", page_limit=10)
    assert versions(changes) == sent
    assert changes.token.revision >= sent[-1]
    assert list(client.changes(changes.token)) == []


def test_changes_waits_when_it_is_told_to(client: Client) -> None:
    hello = client.hello()
    writer = threading.Timer(0.2, lambda: client.set("a", 1))
    hasty = client.with_options(timeout_ms=400, retries=3)
    writer.start()
    changes = hasty.changes((hello.history, hello.version), wait_ms=1000)
    assert isinstance(next(changes), Set)
    assert list(changes) == []
    writer.join()


def test_changes_of_another_history_is_an_error(client: Client) -> None:
    with pytest.raises(errors.UnknownHistory):
        next(client.changes(Token("f" * 16, 1)))


# asyncio.


def test_asyncio_watches_the_same(shared_server: ServerProcess, client: Client) -> None:
    async def work() -> None:
        async with aio.Client(shared_server.endpoint) as mine:
            await mine.set("a", 1)
            async with mine.watch("a") as events:
                entry, synced = await read_later(events, 2)
                assert isinstance(entry, Snapshot) and isinstance(synced, Synced)
                assert events.token == synced.token and events.is_live
                version = (await mine.set("a", 2)).version
                assert versions(await read_later(events, 1)) == [version]
                changes = mine.changes(synced.token, page_limit=1)
                assert versions([event async for event in changes]) == [version]

    asyncio.run(work())


def test_asyncio_without_a_block_raises_at_the_first_event() -> None:
    async def work() -> None:
        async with aio.Client("tcp://127.0.0.1:1", connect_wait_ms=100) as mine:
            with pytest.raises(errors.Unreachable):
                async for event in mine.watch("a"):
                    raise AssertionError(event)
            with pytest.raises(errors.Unreachable):
                async with mine.watch("a"):
                    raise AssertionError("entered")

    asyncio.run(work())


def test_asyncio_cancelling_loses_no_event(shared_server: ServerProcess, client: Client) -> None:
    async def work() -> None:
        async with aio.Client(shared_server.endpoint) as mine, mine.watch("a") as events:
            await read_later(events, 1)
            sent: List[int] = []
            told: List[int] = []
            for number in range(20):
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                sent.append((await mine.set("a", number)).version)
                waiting.cancel()
                try:
                    told += versions([await waiting])
                except asyncio.CancelledError:
                    pass
            told += versions(await read_later(events, len(sent) - len(told)))
            assert told == sent

    asyncio.run(work())


def test_asyncio_closing_ends_the_iteration(shared_server: ServerProcess, client: Client) -> None:
    async def work() -> None:
        mine = aio.Client(shared_server.endpoint)
        events, other = mine.watch("a"), mine.watch("b")
        await read_later(events, 1)
        await read_later(other, 1)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await events.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await mine.close()
        with pytest.raises(errors.Closed):
            await anext(other)

    asyncio.run(work())
    wait_until(lambda: client.stats()["watches"] == 0)


def test_asyncio_leaves_no_file_behind(shared_server: ServerProcess, client: Client) -> None:
    async def work() -> None:
        async with aio.Client(shared_server.endpoint) as mine:
            for _ in range(20):
                async for event in mine.watch("a"):
                    assert isinstance(event, Synced)
                    break

    asyncio.run(work())
    files = files_of_this_process()
    for _ in range(3):
        asyncio.run(work())
    wait_until(lambda: files_of_this_process() <= files)
    wait_until(lambda: client.stats()["watches"] == 0)
