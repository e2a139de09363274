"""Several calls in one body."""

from __future__ import annotations

import pytest

from entrepot import Client, errors
from scripted_server import Incoming, ScriptedServer


def test_calls_run_in_order_and_each_has_its_result(client: Client) -> None:
    with client.pipeline() as pipeline:
        created = pipeline.set("a", 1)
        read = pipeline.get("a")
        raised = pipeline.increment("a", 4)
        entry = pipeline.entry("a")
        missing = pipeline.get("nothing")
        many = pipeline.get_many(["a", "nothing"])
        counted = pipeline.count(key_prefix="a")
    assert created.result().status == "created"
    assert read.result() == 1
    assert raised.result().value == 5
    found = entry.result()
    assert found is not None and found.value == 5
    assert missing.result() is None
    assert [item and item.value for item in many.result()] == [5, None]
    assert counted.result().count == 1


def test_an_error_belongs_to_its_call(client: Client) -> None:
    with client.pipeline() as pipeline:
        before = pipeline.set("a", "text")
        wrong = pipeline.increment("a")
        after = pipeline.get("a")
    assert before.result().status == "created"
    with pytest.raises(errors.WrongType):
        wrong.result()
    assert after.result() == "text"


def test_many_calls_go_in_several_bodies(client: Client) -> None:
    with client.pipeline() as pipeline:
        pending = [pipeline.increment("n") for _ in range(2000)]
    assert [one.result().value for one in pending] == list(range(1, 2001))


def test_large_values_go_in_several_bodies(client: Client) -> None:
    value = b"x" * (3 << 20)
    with client.pipeline() as pipeline:
        for number in range(6):
            pipeline.set(f"k{number}", value)
    with client.pipeline() as pipeline:
        pending = [pipeline.get(f"k{number}") for number in range(6)]
    assert all(one.result() == value for one in pending)


def test_one_body_is_one_message() -> None:
    def handler(request: Incoming) -> object:
        return {"status": "not_found", "version": 0}

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            with client.pipeline() as pipeline:
                for number in range(100):
                    pipeline.get(f"k{number}")
        assert (server.bodies, len(server.requests)) == (1, 100)


def test_a_body_without_an_answer_fails_and_so_do_those_behind_it() -> None:
    def handler(request: Incoming) -> object:
        if len(server.requests) <= 512:
            return {"status": "not_found", "version": 0}
        return None

    with ScriptedServer(handler) as server:
        with Client(server.endpoint, timeout_ms=300) as client:
            pipeline = client.pipeline()
            pending = [pipeline.get("k") for _ in range(1500)]
            with pytest.raises(errors.Timeout):
                pipeline.execute()
    assert [one.result() for one in pending[:512]] == [None] * 512
    for one in (pending[512], pending[-1]):
        with pytest.raises(errors.Timeout):
            one.result()


def test_an_empty_pipeline_sends_nothing() -> None:
    with ScriptedServer(lambda request: None) as server:
        with Client(server.endpoint) as client:
            with client.pipeline():
                pass
        assert server.bodies == 0


def test_nothing_is_sent_when_the_block_fails(client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        with client.pipeline() as pipeline:
            pipeline.set("a", 1)
            raise ZeroDivisionError
    assert client.get("a") is None


def test_a_pipeline_is_used_once(client: Client) -> None:
    pipeline = client.pipeline()
    pending = pipeline.ping()
    with pytest.raises(errors.InvalidArgument, match="not been executed"):
        pending.result()
    pipeline.execute()
    assert pending.result() is None
    with pytest.raises(errors.InvalidArgument, match="once"):
        pipeline.ping()
    with pytest.raises(errors.InvalidArgument, match="once"):
        pipeline.execute()
