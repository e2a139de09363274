"""Runs client_steps.json through both clients against a real server.

The file is data, so that a client library in any language can run it. It holds scripts; each begins
with an empty store and is a list of steps:

    step      := {"call": method, "args": [...], "options": {...}, expectations}
               | {"pipeline": [step ...]}       all calls in one pipeline
    transact  has "if", "then" and "else" in place of args: conditions [key, subject, comparison,
              operand] and operations [method, params]
    update    has "add": its function adds that to the value, or to 0 where there is none

    {"$bytes": hex} stands for bytes, {"$saved": name} for what an earlier step saved.

Expectations, each of which must hold:

    "gives": value                 the result itself; null means nothing
    "fields": {name: value}        fields of the result
    "items": [null or {fields}]    the items of the result
    "results": [{fields}]          the results of a transaction's operations
    "keys": [key ...]              the keys of all items that an iterator hands out
    "error": code                  the call fails with this code
    "save": {name: field}          keeps a field of the result
"""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, List, Union

import pytest

from entrepot import Client, Condition, EntrepotError, Operation, aio
from server_process import ServerProcess

SCRIPTS = json.loads((Path(__file__).parent / "client_steps.json").read_text())["scripts"]

Caller = Union[Client, aio.Client]
EXPECTATIONS = {"gives", "fields", "items", "results", "keys", "error"}


class Runner:
    """Runs the steps of one script with either client: what can be awaited is awaited."""

    def __init__(self, client: Caller) -> None:
        self._client = client
        self._saved: Dict[str, Any] = {}

    async def run(self, steps: List[Dict[str, Any]]) -> None:
        for step in steps:
            if "pipeline" in step:
                await self._run_pipeline(step["pipeline"])
            else:
                await self._check(step, lambda: _awaited(self._start(self._client, step)))

    async def _run_pipeline(self, steps: List[Dict[str, Any]]) -> None:
        pipeline = self._client.pipeline()
        pending = [self._start(pipeline, step) for step in steps]
        await _awaited(pipeline.execute())
        for step, one in zip(steps, pending):
            await self._check(step, lambda: _awaited(one.result()))

    def _start(self, target: Any, step: Dict[str, Any]) -> Any:
        method = getattr(target, step["call"])
        options = self._plain(step.get("options", {}))
        if step["call"] == "transact":
            return method(
                [_operation(*self._plain(one)) for one in step["then"]],
                conditions=[Condition(*self._plain(one)) for one in step["if"]],
                otherwise=[_operation(*self._plain(one)) for one in step["else"]],
            )
        if step["call"] == "update":
            return method(*step["args"], lambda value: (value or 0) + step["add"])
        return method(*self._plain(step.get("args", [])), **options)

    async def _check(self, step: Dict[str, Any], finish: Callable[[], Awaitable[Any]]) -> None:
        try:
            result = await finish()
        except EntrepotError as error:
            assert error.code == step.get("error"), (step, error)
            return
        assert "error" not in step, (step, result)
        expected = self._plain({name: step[name] for name in EXPECTATIONS & set(step)})
        if "gives" in expected:
            assert result == expected["gives"], step
            assert type(result) is type(expected["gives"]), step
        _check_fields(result, expected.get("fields", {}), step)
        if "keys" in expected:
            assert [item.key for item in result] == expected["keys"], step
        for name in {"items", "results"} & set(expected):
            found = getattr(result, name)
            assert len(found) == len(expected[name]), (step, found)
            for one, fields in zip(found, expected[name]):
                if fields is None:
                    assert one is None, step
                else:
                    _check_fields(one, fields, step)
        for name, field in step.get("save", {}).items():
            self._saved[name] = getattr(result, field)

    def _plain(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self._plain(part) for part in data]
        if not isinstance(data, dict):
            return data
        if "$bytes" in data:
            return bytes.fromhex(data["$bytes"])
        if "$saved" in data:
            return self._saved[data["$saved"]]
        return {name: self._plain(value) for name, value in data.items()}


def _operation(method: str, params: List[Any]) -> Operation:
    options = params[-1] if isinstance(params[-1], dict) else {}
    return getattr(Operation, method)(*params[: len(params) - bool(options)], **options)


def _check_fields(result: Any, fields: Dict[str, Any], step: Dict[str, Any]) -> None:
    for name, value in fields.items():
        assert getattr(result, name) == value, (step, name, result)


async def _awaited(result: Any) -> Any:
    if inspect.isawaitable(result):
        return await result
    if inspect.isasyncgen(result):
        return [item async for item in result]
    return list(result) if inspect.isgenerator(result) else result


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script["name"])
def test_blocking(client: Client, script: Dict[str, Any]) -> None:
    asyncio.run(Runner(client).run(script["steps"]))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script["name"])
def test_asyncio(shared_server: ServerProcess, client: Client, script: Dict[str, Any]) -> None:
    async def run() -> None:
        async with aio.Client(shared_server.endpoint) as asyncio_client:
            await Runner(asyncio_client).run(script["steps"])

    asyncio.run(run())


def test_every_method_is_called_by_some_step() -> None:
    called = set()
    for script in SCRIPTS:
        for step in script["steps"]:
            for one in step.get("pipeline", [step]):
                called.add(one["call"])
                assert EXPECTATIONS & set(one) or "save" in one or one["call"] == "set", one
    without_a_store = {"hello", "ping", "sync", "stats", "pipeline", "close"}
    # What changes is told while other steps run: test_watch.py and its neighbours.
    watching = {"watch", "changes", "changes_page", "subscribe", "mirror"}
    methods = {name for name in vars(Client) if not name.startswith("_")}
    assert called == methods - without_a_store - watching - {"with_options", "server"}
