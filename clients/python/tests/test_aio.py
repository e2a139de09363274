"""The asyncio client: the same methods, cancellation, closing, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any, Awaitable, Callable, List, Set

import pytest

from entrepot import Client, Condition, Operation, aio, errors
from entrepot._link import Link
from scripted_server import Incoming, ScriptedServer
from server_process import ServerProcess

Work = Callable[[aio.Client], Awaitable[None]]


def run(endpoint: str, work: Work, **options: Any) -> None:
    async def main() -> None:
        async with aio.Client(endpoint, **options) as client:
            await work(client)

    asyncio.run(main())


def never_answer(request: Incoming) -> Any:
    return None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def test_every_method(shared_server: ServerProcess, client: Client) -> None:
    async def work(client: aio.Client) -> None:
        assert (await client.hello()).protocol == 1
        await client.ping()
        assert await client.get("a") is None
        assert await client.entry("a") is None
        assert (await client.set("a", "x")).status == "created"
        entry = await client.entry("a")
        assert entry is not None and entry.value == "x"
        assert (await client.append("a", "y")).length == 2
        assert (await client.prepend("a", "w")).length == 3
        assert (await client.increment("n", 5)).value == 5
        assert (await client.touch("a", 60_000)).status == "updated"
        assert [item and item.value for item in await client.get_many(["a", "b"])] == ["wxy", None]
        transacted = await client.transact(
            [Operation.set("t", 1)], conditions=[Condition.exists("a")]
        )
        assert transacted.committed
        assert [item.key async for item in client.find("w", page_limit=1)] == ["a"]
        assert [item.key async for item in client.scan("", page_limit=1)] == ["a", "n", "t"]
        assert (await client.find_page("w")).status == "found"
        assert (await client.scan_page("zzz")).status == "not_found"
        assert (await client.count()).count == 3
        assert (await client.update("n", lambda value: value + 1)).value == 6
        assert await client.sync() >= 1
        assert await client.stats()
        assert (await client.delete("a")).status == "deleted"
        assert (await client.delete_prefix("")).deleted == 2

    run(shared_server.endpoint, work)


def test_pipeline(shared_server: ServerProcess, client: Client) -> None:
    async def work(client: aio.Client) -> None:
        async with client.pipeline() as pipeline:
            pending = [pipeline.increment("n") for _ in range(1000)]
            last = pipeline.get("n")
        assert [one.result().value for one in pending] == list(range(1, 1001))
        assert last.result() == 1000

    run(shared_server.endpoint, work)


def test_update_from_many_tasks_adds_up(shared_server: ServerProcess, client: Client) -> None:
    async def work(client: aio.Client) -> None:
        await asyncio.gather(
            *(client.update("n", lambda value: (value or 0) + 1) for _ in range(20))
        )

    run(shared_server.endpoint, work, timeout_ms=30_000)
    assert client.get("n") == 20


def test_thousands_of_calls_at_once(shared_server: ServerProcess, client: Client) -> None:
    async def work(client: aio.Client) -> None:
        results = await asyncio.gather(*(client.increment("n") for _ in range(3000)))
        assert sorted(result.value for result in results) == list(range(1, 3001))

    run(shared_server.endpoint, work, timeout_ms=60_000)


def test_a_cancelled_call_is_not_sent_again_and_others_go_on() -> None:
    def handler(request: Incoming) -> Any:
        answered = request.params[0] == "other"
        return {"status": "created", "version": 1} if answered else None

    async def work(client: aio.Client) -> None:
        task = asyncio.create_task(client.set("a", 1))
        await until(lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Two shares of the deadline later it would have been sent again.
        with pytest.raises(errors.Timeout):
            await client.with_options(timeout_ms=500, retries=1).get("silent")
        assert (await client.set("other", 1)).status == "created"
        assert [request.params[0] for request in server.requests].count("a") == 1
        assert server.requests[-1].once[1:] == [2, 1]

    with ScriptedServer(handler) as server:
        run(server.endpoint, work, timeout_ms=1000, retries=3)


def test_a_deadline_of_asyncio_works_too() -> None:
    async def work(client: aio.Client) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get("a")

    with ScriptedServer(never_answer) as server:
        run(server.endpoint, work)


def test_close_ends_calls_in_flight() -> None:
    async def work(client: aio.Client) -> None:
        tasks = [asyncio.create_task(client.set("a", 1)) for _ in range(5)]
        await until(lambda: len(server.requests) == 5)
        await client.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(result, "code", None) for result in results] == ["closed"] * 5
        await client.close()
        with pytest.raises(errors.Closed):
            await client.ping()

    with ScriptedServer(never_answer) as server:
        run(server.endpoint, work)


def test_a_client_belongs_to_one_loop(shared_server: ServerProcess) -> None:
    client = aio.Client(shared_server.endpoint)

    async def first() -> None:
        await client.ping()

    async def second() -> None:
        with pytest.raises(errors.Closed, match="event loop"):
            await client.ping()

    asyncio.run(first())
    asyncio.run(second())


def test_a_client_is_closed_in_a_child(shared_server: ServerProcess) -> None:
    async def work(client: aio.Client) -> None:
        await client.ping()
        process = os.fork()
        if process == 0:
            status = 1
            try:
                await client.ping()
            except errors.Closed:
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        await client.ping()

    run(shared_server.endpoint, work)


def test_a_connection_that_comes_up_between_two_looks_is_used(
    shared_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libzmq may refuse to send on a new connection once more, as it looks only now and then."""
    send = Link.send
    refused: Set[Link] = set()

    def looks_too_early(link: Link, body: bytes) -> bool:
        if link.is_up and link not in refused:
            refused.add(link)
            return False
        return send(link, body)

    monkeypatch.setattr(Link, "send", looks_too_early)

    async def work(client: aio.Client) -> None:
        await client.ping()

    run(shared_server.endpoint, work)
    assert refused


def test_no_thread_and_no_file_is_left(shared_server: ServerProcess) -> None:
    def counts() -> List[int]:
        gc.collect()
        return [len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))]

    async def settled(allowed: List[int]) -> None:
        await until(lambda: all(now <= most for now, most in zip(counts(), allowed)))

    async def work() -> None:
        async def use(close: bool) -> None:
            clients = [aio.Client(shared_server.endpoint) for _ in range(20)]
            await asyncio.gather(*(client.increment("n") for client in clients))
            if close:
                for client in clients:
                    await client.close()

        await use(close=True)
        await asyncio.sleep(0)
        before = counts()
        await use(close=True)
        await settled(before)
        # Clients that are dropped without close() are closed.
        await use(close=False)
        await settled(before)

    asyncio.run(work())
