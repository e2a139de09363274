"""The machine behind a watch, with scripted messages: no server, no socket, no clock."""

from __future__ import annotations

from typing import Any, Dict, List

import msgpack
import pytest

from entrepot import Resync, Set, Snapshot, Synced, Token, errors
from entrepot._watch_state import Phase, WatchOptions, WatchState

HISTORY = "0123456789abcdef"
OTHER = "f" * 16


def request_options(state: WatchState) -> Dict[str, Any]:
    """What the machine asks the server for."""
    _, _, method, params = msgpack.unpackb(state.request().encode(1, None))
    assert method == "watch"
    return dict(params[0])


def accept(state: WatchState, version: int = 10, history: str = HISTORY) -> None:
    assert state.accepted({"watch": 7, "history": history, "version": version}) == 7


def entry(key: str, version: int) -> Dict[str, Any]:
    return {**change(key, version, 0), "snapshot": True}


def change(key: str, version: int, previous_version: int, op: str = "set") -> Dict[str, Any]:
    event = {"key": key, "op": op, "cause": "client", "version": version}
    return {**event, "previous_version": previous_version, "value": version}


def status(version: int, synced: bool = False) -> Dict[str, Any]:
    return {"version": version, "synced": synced}


def live(options: WatchOptions) -> WatchState:
    """A machine whose snapshot of nothing is whole at version 10."""
    state = WatchState(options)
    state.request()
    accept(state)
    state.told([], status(10, synced=True))
    assert state.phase is Phase.LIVE
    return state


def test_a_snapshot_is_asked_for_and_told_until_it_is_whole() -> None:
    state = WatchState(WatchOptions("a"))
    assert request_options(state) == {"key_prefix": "a", "snapshot": True, "credit": 1024}
    accept(state)
    first = state.told([entry("a1", 3), change("a1", 11, 3)], status(11))
    assert [type(event) for event in first.events] == [Snapshot, Set]
    assert first.token is None
    last = state.told([entry("a2", 4)], status(12, synced=True))
    assert last.events[-1] == Synced(Token(HISTORY, 12))
    assert last.token == Token(HISTORY, 12)


def test_without_a_snapshot_it_begins_where_the_server_says() -> None:
    state = WatchState(WatchOptions(snapshot=False))
    assert "snapshot" not in request_options(state)
    accept(state, version=10)
    assert state.token == Token(HISTORY, 10)
    assert state.cut_off() == []
    assert request_options(state)["since"] == [HISTORY, 10]


def test_it_resumes_behind_the_last_message_and_says_nothing() -> None:
    state = live(WatchOptions())
    state.told([change("a", 11, 0)], status(11))
    state.told([], status(20))
    assert state.cut_off() == []
    assert request_options(state)["since"] == [HISTORY, 20]
    accept(state)
    assert state.told([], status(21, synced=True)).events == [Synced(Token(HISTORY, 21))]


def test_a_snapshot_broken_off_is_told_and_begun_again() -> None:
    state = WatchState(WatchOptions())
    state.request()
    accept(state)
    state.told([entry("a", 3)], status(11))
    assert state.cut_off() == [Resync("interrupted")]
    options = request_options(state)
    assert options["snapshot"] is True and "since" not in options


def test_a_snapshot_not_begun_yet_is_not_broken_off() -> None:
    state = WatchState(WatchOptions())
    state.request()
    assert state.cut_off() == []


@pytest.mark.parametrize("code", ["history_lost", "unknown_history"])
@pytest.mark.parametrize("snapshot", [True, False])
def test_a_token_that_is_no_use_makes_a_new_snapshot(code: str, snapshot: bool) -> None:
    state = live(WatchOptions(snapshot=snapshot))
    state.cut_off()
    state.request()
    assert state.refused(errors.from_wire({"code": code})) == [Resync(code)]
    assert state.token is None
    options = request_options(state)
    assert options["snapshot"] is True and "since" not in options
    accept(state, history=OTHER)
    batch = state.told([entry("a", 1)], status(1, synced=True))
    assert batch.token == Token(OTHER, 1)


def test_another_refusal_is_raised_and_changes_nothing() -> None:
    state = live(WatchOptions())
    state.cut_off()
    state.request()
    with pytest.raises(errors.Overloaded):
        state.refused(errors.Overloaded("the server has too many"))
    assert request_options(state)["since"] == [HISTORY, 10]


def test_the_callers_token_is_asked_for_first() -> None:
    state = WatchState(WatchOptions(since=Token(HISTORY, 5)))
    options = request_options(state)
    assert options["since"] == [HISTORY, 5] and "snapshot" not in options
    accept(state)
    assert state.told([change("a", 6, 0)], status(6)).token == Token(HISTORY, 6)


def test_values_are_switched_off_in_words() -> None:
    assert request_options(WatchState(WatchOptions(values=False)))["values"] is False
    assert "values" not in request_options(WatchState(WatchOptions()))


def test_credit_is_granted_again_when_half_of_it_was_taken() -> None:
    state = live(WatchOptions(credit=10))
    state.taken(1)  # The Synced.
    told: List[Dict[str, Any]] = [change("a", 11 + n, 10 + n) for n in range(6)]
    state.told(told, status(16))
    assert state.credit_due() == 0
    state.taken(4)
    assert state.credit_due() == 0
    state.taken(1)
    assert state.credit_due() == 5
    state.granted(5)
    assert state.credit_due() == 0


def test_a_transaction_that_overdraws_is_paid_back_first() -> None:
    state = live(WatchOptions(credit=2))
    state.taken(1)
    state.told([change("a", 11, 0), change("b", 11, 0), change("c", 11, 0)], status(11))
    assert state.credit_due() == 0
    state.taken(1)
    assert state.credit_due() == 1
    state.granted(1)
    state.taken(2)
    assert state.credit_due() == 2


def test_what_waits_still_is_not_allowed_again_after_a_reconnection() -> None:
    state = live(WatchOptions(credit=10))
    state.taken(1)
    state.told([change("a", 11, 0), change("b", 12, 0)], status(12))
    state.cut_off()
    assert request_options(state)["credit"] == 8


def test_an_unknown_kind_of_event_is_left_out() -> None:
    state = live(WatchOptions())
    batch = state.told([change("a", 11, 0, op="renamed"), change("b", 12, 0)], status(12))
    assert [event.version for event in batch.events if isinstance(event, Set)] == [12]
    assert len(batch.events) == 1


@pytest.mark.parametrize("missing", ["key", "version", "previous_version", "cause"])
def test_an_event_that_lacks_something_is_an_error(missing: str) -> None:
    state = live(WatchOptions())
    event = change("a", 11, 0)
    del event[missing]
    with pytest.raises(KeyError):
        state.told([event], status(11))


def test_a_senseless_credit_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument):
        WatchOptions(credit=0)
