"""The rules of docs/CLIENTS.md that need a peer which misbehaves on purpose."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable, Dict, List

import msgpack
import pytest

from entrepot import Client, aio, errors
from scripted_server import Handler, Incoming, Refusal, ScriptedServer, response

CREATED: Dict[str, Any] = {"status": "created", "version": 1}
FOUND: Dict[str, Any] = {"status": "found", "value": 7, "version": 1}

# Repeats an attempt every 100 ms.
PATIENT: Dict[str, Any] = {"timeout_ms": 20_000, "retries": 199}


def answer_created(request: Incoming) -> Any:
    return CREATED


def at_first(times: int, action: Callable[[Incoming], Any]) -> Handler:
    """A handler that takes ``action`` for the first requests and answers the others."""
    seen = []

    def handler(request: Incoming) -> Any:
        seen.append(request)
        return action(request) if len(seen) <= times else CREATED

    return handler


def silence(request: Incoming) -> Any:
    return None


def refuse(code: str, **fields: Any) -> Callable[[Incoming], Any]:
    def action(request: Incoming) -> Any:
        raise Refusal(code, **fields)

    return action


# Retries and once.


def test_the_same_bytes_are_sent_again_with_the_same_once() -> None:
    with ScriptedServer(at_first(2, silence)) as server:
        with Client(server.endpoint, **PATIENT) as client:
            assert client.set("a", 1).status == "created"
        first, *others = server.requests
    assert first.once == [f"{1:032x}", 1, 0]
    assert len(others) >= 2
    assert all((again.msgid, again.params) == (first.msgid, first.params) for again in others)


def test_a_retry_comes_over_a_new_connection() -> None:
    with ScriptedServer(at_first(1, silence)) as server:
        with Client(server.endpoint, **PATIENT) as client:
            client.set("a", 1)
        assert server.requests[0].envelope != server.requests[1].envelope


def test_numbers_rise_and_done_follows() -> None:
    with ScriptedServer(answer_created) as server:
        with Client(server.endpoint) as client:
            for _ in range(3):
                client.set("a", 1)
        assert [request.once[1:] for request in server.requests] == [[1, 0], [2, 1], [3, 2]]


def test_a_number_given_up_counts_as_done() -> None:
    with ScriptedServer(at_first(1, refuse("wrong_type"))) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.WrongType):
                client.set("a", 1)
            client.set("a", 1)
        assert server.requests[1].once[1:] == [2, 1]


def test_without_retries_there_is_no_once_and_no_second_sending() -> None:
    with ScriptedServer(silence) as server:
        with Client(server.endpoint, timeout_ms=300, retries=0) as client:
            with pytest.raises(errors.Timeout) as timeout:
                client.set("a", 1)
        assert timeout.value.maybe_applied
        assert [request.params for request in server.requests] == [["a", 1]]
        assert server.sessions == 0


def test_retries_come_at_equal_shares_of_the_deadline() -> None:
    times: List[float] = []

    def note(request: Incoming) -> Any:
        times.append(time.monotonic())

    with ScriptedServer(note) as server:
        with Client(server.endpoint, timeout_ms=4000, retries=3) as client:
            with pytest.raises(errors.Timeout):
                client.get("a")
    assert len(times) == 4
    assert all(later - earlier > 0.7 for earlier, later in zip(times, times[1:]))


def test_a_late_answer_on_the_old_connection_is_as_good() -> None:
    def handler(request: Incoming) -> Any:
        # The second attempt has come, and the first one is answered, where it came from.
        if len(server.requests) == 2:
            server.send(server.requests[0], response(server.requests[0], FOUND))

    with ScriptedServer(handler) as server:
        with Client(server.endpoint, timeout_ms=20_000, retries=9) as client:
            assert client.get("a") == 7
        assert server.requests[0].envelope != server.requests[1].envelope


def test_doubled_late_and_foreign_answers_are_dropped() -> None:
    def handler(request: Incoming) -> Any:
        server.send(request, response(request, FOUND))
        server.send(request, msgpack.packb([1, request.msgid + 5000, None, FOUND]))
        return FOUND

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            assert [client.get("a") for _ in range(20)] == [7] * 20


def test_events_nobody_listens_to_are_answered_with_unwatch() -> None:
    def handler(request: Incoming) -> Any:
        server.send(request, msgpack.packb([2, "events", [1, [], {"version": 9}]]))
        return FOUND

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            assert [client.get("a") for _ in range(20)] == [7] * 20
        assert ["unwatch", [1]] in server.notifications


# Sessions.


def test_a_session_expired_at_the_first_attempt_is_renewed_unseen() -> None:
    with ScriptedServer(at_first(1, refuse("session_expired"))) as server:
        with Client(server.endpoint) as client:
            assert client.set("a", 1).status == "created"
        assert [request.once[0][-1] for request in server.requests] == ["1", "2"]


def lose_then_forget(request: Incoming, seen: List[Incoming]) -> Any:
    """The first attempt gets no answer; the session of the second is not known any more."""
    seen.append(request)
    if len(seen) == 1:
        return None
    if request.once[0] == seen[0].once[0]:
        raise Refusal("session_expired")
    return CREATED


def test_a_session_lost_after_an_attempt_in_the_same_history_is_outcome_unknown() -> None:
    seen: List[Incoming] = []
    with ScriptedServer(lambda request: lose_then_forget(request, seen)) as server:
        with Client(server.endpoint, **PATIENT) as client:
            with pytest.raises(errors.OutcomeUnknown) as unknown:
                client.set("a", 1)
            assert unknown.value.maybe_applied
            assert client.set("a", 1).status == "created"


def test_a_session_lost_with_its_history_is_renewed_and_the_write_sent_again() -> None:
    seen: List[Incoming] = []

    def handler(request: Incoming) -> Any:
        server.history = "f" * 16
        return lose_then_forget(request, seen)

    with ScriptedServer(handler) as server:
        with Client(server.endpoint, **PATIENT) as client:
            assert client.set("a", 1).status == "created"
    assert seen[-1].once[0] == f"{2:032x}"


def test_at_most_a_thousand_numbers_are_above_done_and_other_writes_wait() -> None:
    above_done = []

    def handler(request: Incoming) -> Any:
        number, done = request.once[1:]
        above_done.append(number - done)
        return None if number == 1 else CREATED

    async def work(endpoint: str) -> None:
        async with aio.Client(endpoint, timeout_ms=60_000, retries=1) as client:
            first = asyncio.create_task(client.with_options(timeout_ms=2000).set("first", 1))
            # Tasks begin in the order in which they are made.
            others = [asyncio.create_task(client.set("other", 1)) for _ in range(1200)]
            with pytest.raises(errors.Timeout):
                await first
            results = await asyncio.gather(*others)
            assert {result.status for result in results} == {"created"}

    with ScriptedServer(handler) as server:
        asyncio.run(work(server.endpoint))
    assert 990 <= max(above_done) <= 1000


# Errors that say: later.


@pytest.mark.parametrize("code", ["overloaded", "unavailable"])
def test_what_did_not_run_is_sent_again_when_told(code: str) -> None:
    refusal = refuse(code, retry="later", retry_after_ms=50)
    with ScriptedServer(at_first(3, refusal)) as server:
        with Client(server.endpoint) as client:
            began = time.monotonic()
            assert client.set("a", 1).status == "created"
            assert time.monotonic() - began >= 0.15
        assert len({str(request.once) for request in server.requests}) == 1


def test_overloaded_until_the_deadline_is_raised_as_such() -> None:
    with ScriptedServer(refuse("overloaded", retry="later")) as server:
        with Client(server.endpoint, timeout_ms=3000) as client:
            with pytest.raises(errors.Overloaded) as overloaded:
                client.get("a")
        assert overloaded.value.retry == "later"
        assert len(server.requests) > 2


def test_overloaded_without_retries_is_raised_at_once() -> None:
    with ScriptedServer(refuse("overloaded", retry="later")) as server:
        with Client(server.endpoint, retries=0) as client:
            with pytest.raises(errors.Overloaded):
                client.get("a")
        assert len(server.requests) == 1


def test_full_is_raised_at_once() -> None:
    with ScriptedServer(refuse("full", retry="later")) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.Full):
                client.set("a", 1)
        assert len(server.requests) == 1


def test_of_a_pipeline_only_the_refused_end_is_sent_again() -> None:
    refused = []

    def handler(request: Incoming) -> Any:
        if request.params[0] == "c" and not refused:
            refused.append(request)
        if refused and len(server.requests) <= 4:
            raise Refusal("overloaded", retry="later", retry_after_ms=20)
        return {**FOUND, "value": request.params[0]}

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            with client.pipeline() as pipeline:
                pending = [pipeline.get(key) for key in "abcd"]
        assert [one.result() for one in pending] == list("abcd")
        assert [request.params[0] for request in server.requests] == list("abcdcd")
        assert server.bodies == 2


def test_a_refusal_in_the_middle_of_a_pipeline_is_not_sent_again() -> None:
    def handler(request: Incoming) -> Any:
        if request.params[0] == "b":
            raise Refusal("overloaded", retry="later")
        return FOUND

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            with client.pipeline() as pipeline:
                pending = [pipeline.get(key) for key in "abc"]
        assert (pending[0].result(), pending[2].result()) == (7, 7)
        with pytest.raises(errors.Overloaded):
            pending[1].result()
        assert server.bodies == 1


def test_an_unknown_code_is_an_error_like_any_other() -> None:
    with ScriptedServer(refuse("from_the_future", retry="later", retry_after_ms=7)) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.ServerError) as error:
                client.get("a")
    assert error.value.code == "from_the_future"
    assert (error.value.retry, error.value.retry_after_ms) == ("later", 7)


# Answers that are not of the protocol.


@pytest.mark.parametrize(
    "answer",
    [b"\xc1", b"\x94\x01", b"\xc0", b"\x90", msgpack.packb([1, 1, "no map", None])],
    ids=["no msgpack", "cut off", "nil", "empty array", "error of a wrong type"],
)
def test_rubbish_is_a_bad_reply_and_the_next_call_works(answer: bytes) -> None:
    def spoil(request: Incoming) -> Any:
        server.send(request, answer)

    with ScriptedServer(at_first(1, spoil)) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.BadReply):
                client.set("a", 1)
            assert client.set("a", 1).status == "created"


def test_a_result_without_its_fields_is_a_bad_reply() -> None:
    with ScriptedServer(lambda request: {"status": "found"}) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.BadReply, match="get"):
                client.get("a")


def test_answers_that_do_not_pair_are_a_bad_reply() -> None:
    def handler(request: Incoming) -> Any:
        both = response(request, FOUND) + msgpack.packb([1, request.msgid + 9, None, FOUND])
        server.send(request, both)

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            with pytest.raises(errors.BadReply):
                client.get("a")


def test_an_error_without_a_msgid_is_that_of_the_largest_body() -> None:
    small_waits = threading.Event()

    def handler(request: Incoming) -> Any:
        if request.params[0] == "small":
            small_waits.set()
            return None
        error = {"code": "too_large", "message": "the body", "retry": "never"}
        server.send(request, msgpack.packb([1, 0, error, None]))
        server.send(request, response(server.requests[0], FOUND))
        return None

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            results: List[Any] = []
            thread = threading.Thread(target=lambda: results.append(client.get("small")))
            thread.start()
            assert small_waits.wait(10)
            with pytest.raises(errors.TooLarge):
                client.get("large" * 100)
            thread.join()
            assert results == [7]


def test_unknown_fields_are_ignored() -> None:
    with ScriptedServer(lambda request: {**FOUND, "from_the_future": 1}) as server:
        with Client(server.endpoint) as client:
            assert client.get("a") == 7


def test_a_replayed_conflict_in_update_is_read_again() -> None:
    def handler(request: Incoming) -> Any:
        if request.method == "get":
            return {**FOUND, "value": len(server.requests), "version": len(server.requests)}
        if len(server.requests) == 2:
            return {"status": "conflict", "version": 9, "replayed": True}
        return {"status": "updated", "version": 10}

    with ScriptedServer(handler) as server:
        with Client(server.endpoint) as client:
            assert client.update("a", lambda value: value * 10).value == 30
        assert [request.method for request in server.requests] == ["get", "set", "get", "set"]
