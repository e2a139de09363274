"""Mirrors of both clients against a real server: always the store, whatever happens between."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

import pytest

from chaos_proxy import ChaosProxy, Fates
from entrepot import Client, Difference, Events, Item, Mirror, Operation, aio, errors
from reading import Told
from server_process import ServerProcess
from test_lifecycle import threads_of_this_process, wait_until

IS_NIGHTLY = bool(os.environ.get("ENTREPOT_NIGHTLY"))
RACES = 10_000 if IS_NIGHTLY else 500
SEEDS = 100 if IS_NIGHTLY else 10
WRITES = 300
KEYS = 20


def shows(mirror: Any, version: int) -> bool:
    return mirror.token is not None and mirror.token.revision >= version


def contents(client: Client, prefix: str = "") -> Dict[Any, Any]:
    return {item.key: item.value for item in client.scan(prefix)}


def test_it_is_a_dictionary(client: Client) -> None:
    client.set("a:1", "one")
    version = client.set("a:2", None).version
    client.set("b:1", "other")
    with client.mirror("a:") as mirror:
        assert mirror == {"a:1": "one", "a:2": None}
        assert mirror["a:1"] == "one" and mirror.get("a:3") is None
        assert "a:2" in mirror and "b:1" not in mirror
        assert sorted(mirror) == ["a:1", "a:2"] and len(mirror) == 2
        assert mirror.item("a:2") == Item("a:2", None, version) and mirror.item("a:3") is None
        assert shows(mirror, version) and mirror.is_live
        deleted = client.delete("a:1").version
        wait_until(lambda: shows(mirror, deleted))
        assert list(mirror.items()) == [("a:2", None)]


def test_each_change_is_told_once_when_it_is_shown(client: Client) -> None:
    client.set("a", 1)
    told: List[Difference] = []
    shown: List[Any] = []

    def on_change(difference: Difference) -> None:
        told.append(difference)
        if started.wait(0):
            shown.append(mirror.get(difference.key))

    started = threading.Event()
    with client.mirror("a", on_change=on_change) as mirror:
        started.set()
        assert [difference.after and difference.after.value for difference in told] == [1]
        client.set("a", 2)
        last = client.delete("a").version
        wait_until(lambda: shows(mirror, last) and len(told) == 3)
    assert [(d.before and d.before.value, d.after and d.after.value) for d in told] == [
        (None, 1),
        (1, 2),
        (2, None),
    ]
    assert shown[-1] is None


def test_a_transaction_is_shown_whole_or_not_at_all(client: Client) -> None:
    client.transact([Operation.set("a", 0), Operation.set("b", 0)])
    with client.mirror() as mirror:
        seen = set()
        for number in range(1, 200):
            last = client.transact([Operation.set("a", number), Operation.set("b", number)])
            both = mirror.copy()
            seen.add(both["a"] - both["b"])
        wait_until(lambda: shows(mirror, last.version))
        assert mirror == {"a": 199, "b": 199}
    assert seen == {0}


def test_an_error_of_the_callback_is_raised_by_the_next_use(client: Client) -> None:
    def on_change(difference: Difference) -> None:
        if difference.key == "bad":
            raise RuntimeError("the callback's own")

    with client.mirror(on_change=on_change) as mirror:
        client.set("bad", 1)

        def is_raised() -> bool:
            try:
                len(mirror)
            except RuntimeError:
                return True
            return False

        wait_until(is_raised)
        with pytest.raises(RuntimeError, match="the callback's own"):
            mirror.get("good")
    with pytest.raises(RuntimeError, match="the callback's own"):
        client.mirror(on_change=on_change)


def test_a_server_that_is_not_there_is_told() -> None:
    with Client("tcp://127.0.0.1:1", connect_wait_ms=100) as client:
        with pytest.raises(errors.Unreachable):
            client.mirror("a")


def test_a_store_that_is_lost_is_replaced_at_once(server: ServerProcess) -> None:
    told: List[Difference] = []
    with Client(server.endpoint) as client:
        client.set("gone", 1)
        client.set("same", 1)
        with client.mirror(on_change=told.append) as mirror:
            server.kill()
            wait_until(lambda: not mirror.is_live)
            assert mirror == {"gone": 1, "same": 1}
            server.start()
            version = client.set("same", 2).version
            client.set("new", 3)
            wait_until(lambda: mirror == {"same": 2, "new": 3})
            assert mirror.item("same") == Item("same", 2, version)
    assert [difference.key for difference in told if difference.after is None].count("gone") == 1


def test_a_mirror_that_is_closed_or_dropped_leaves_nothing(
    shared_server: ServerProcess, client: Client
) -> None:
    threads = threads_of_this_process()
    mirrors = [client.mirror("a") for _ in range(5)]
    closed = mirrors.pop()
    closed.close()
    closed.close()
    with pytest.raises(errors.Closed):
        len(closed)
    del closed
    mirrors.clear()
    gc.collect()
    wait_until(lambda: threads_of_this_process() <= threads)
    wait_until(lambda: client.stats()["watches"] == 0)


def test_a_callback_may_close_its_mirror(client: Client) -> None:
    holder: List[Mirror] = []
    with client.mirror("a", on_change=lambda _: holder[0].close()) as mirror:
        holder.append(mirror)
        client.set("a", 1)
        wait_until(lambda: client.stats()["watches"] == 0)


def test_asyncio_mirrors_the_same(shared_server: ServerProcess, client: Client) -> None:
    client.set("a", 1)
    told: List[Difference] = []

    async def work() -> None:
        async with aio.Client(shared_server.endpoint) as mine:
            async with mine.mirror("a", on_change=told.append) as mirror:
                assert mirror == {"a": 1} and mirror.is_live
                last = (await mine.set("a", 2)).version
                async with asyncio.timeout(20):
                    while not shows(mirror, last):
                        await asyncio.sleep(0.005)
                assert mirror["a"] == 2
            with pytest.raises(errors.Closed):
                len(mirror)
            dropped = mine.mirror("a")
            del dropped
        with pytest.raises(errors.Closed):
            async with mine.mirror("a"):
                raise AssertionError("entered")

    asyncio.run(work())
    assert len(told) == 2
    wait_until(lambda: client.stats()["watches"] == 0)


def test_a_change_beside_the_snapshot_is_never_lost(client: Client) -> None:
    """The race of the ZeroMQ Guide's Clone pattern: what changes while the snapshot is taken."""

    def write(number: int) -> int:
        with client.pipeline() as pipeline:
            pending = [pipeline.set(f"race:{index}", number) for index in range(5)]
        return pending[-1].result().version

    with ThreadPoolExecutor(1) as writer:
        for number in range(RACES):
            written = writer.submit(write, number)
            with client.mirror("race:") as mirror:
                version = written.result()
                wait_until(lambda: shows(mirror, version))
                assert mirror == {f"race:{index}": number for index in range(5)}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_mirror_and_chain_survive_a_failing_network_and_a_killed_server(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    fates = Fates(cut=0.03, delay=0.2, delay_seconds=0.02)
    with ServerProcess(tmp_path / "data") as server, Client(server.endpoint) as writer:
        with ChaosProxy(server.endpoint, fates, seed) as proxy:
            # Every attempt has 500 ms; the fates may cut the beginning off, too.
            with Client(proxy.endpoint, timeout_ms=30_000, retries=59) as client:
                told = Told()
                with client.mirror() as mirror, client.watch(credit=20) as events:
                    reader = threading.Thread(target=take_all, args=(events, told))
                    reader.start()
                    killed_at = chance.randrange(WRITES)
                    for number in range(WRITES):
                        write_something(writer, chance)
                        if number == killed_at:
                            server.kill()
                            proxy.is_stalled = seed % 5 == 0
                            server.start()
                    for index in range(KEYS):
                        writer.touch(f"key {index}", None)  # From here on nothing expires.
                    last = writer.set("the last", 1).version
                    wait_until(lambda: not proxy.is_stalled or not mirror.is_live)
                    proxy.is_stalled = False
                    wait_until(lambda: shows(mirror, last) and shows(events, last))
                    assert mirror == contents(writer)
                reader.join()
        assert told.entries == contents(writer)
        assert told.failure is None
        assert set(told.resyncs) <= {"interrupted"}


def take_all(events: Events, told: Told) -> None:
    try:
        for event in events:
            told.take(event)
    except AssertionError as error:
        told.failure = error


def write_something(client: Client, chance: random.Random) -> None:
    """One write of any kind to a few keys, so that they meet all the time."""
    key, other = (f"key {chance.randrange(KEYS)}" for _ in range(2))
    what = chance.randrange(8)
    if what < 4:
        client.set(key, chance.randrange(1000))
    elif what == 4:
        client.delete(key)
    elif what == 5:
        client.set(key, "soon gone", ttl_ms=chance.randrange(1, 30))
    elif what == 6:
        client.touch(key, None)
    elif key != other:
        client.transact([Operation.set(key, "both"), Operation.delete(other)])
