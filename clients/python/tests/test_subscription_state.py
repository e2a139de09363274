"""What a subscriber misses, with scripted messages: no socket, no clock."""

from __future__ import annotations

from entrepot import Delete, Resync, Set, Token
from entrepot._subscription_state import Gap, SubscriptionState
from entrepot.events import Change

HISTORY = "0123456789abcdef"


def token(revision: int) -> Token:
    return Token(HISTORY, revision)


def changed(key: str, version: int, previous_version: int) -> Change:
    return Set(key, version, version, previous_version)


def begun(revision: int = 10, keys_max: int = 100) -> SubscriptionState:
    state = SubscriptionState("a", keys_max)
    assert state.heartbeat(token(revision), now=100.0) is None
    return state


def test_nothing_is_told_before_the_first_heartbeat() -> None:
    state = SubscriptionState("a")
    assert not state.is_new(changed("a1", 11, 0))
    state.heartbeat(token(11), now=100.0)
    assert not state.is_new(changed("a1", 11, 0))
    assert state.is_new(changed("a1", 12, 11))


def test_an_unbroken_chain_has_no_gap() -> None:
    state = begun()
    for change in (changed("a1", 11, 5), changed("a2", 12, 0), changed("a1", 13, 11)):
        assert state.is_new(change) and state.gap_before(change) is None
        state.tell(change)


def test_a_broken_chain_names_what_is_missing() -> None:
    state = begun()
    state.tell(changed("a1", 11, 5))
    assert state.gap_before(changed("a1", 15, 13)) == Gap(token(11), 14, "a1", "a1")


def test_a_change_of_a_key_not_told_before_may_show_a_gap_too() -> None:
    state = begun()
    assert state.gap_before(changed("a9", 15, 10)) is None
    assert state.gap_before(changed("a9", 15, 12)) == Gap(token(10), 14, "a9", "a9")


def test_nothing_is_told_twice() -> None:
    state = begun()
    state.tell(changed("a1", 13, 5))
    assert not state.is_new(changed("a1", 13, 5))
    assert not state.is_new(changed("a1", 12, 5))


def test_what_was_deleted_is_not_told_again_with_a_later_gap() -> None:
    state = begun()
    state.tell(changed("a1", 11, 0))
    state.tell(Delete("a1", 12, 11))
    assert state.gap_before(changed("a1", 20, 15)) == Gap(token(12), 19, "a1", "a1")


def test_heartbeats_missed_name_everything_since_the_last_one() -> None:
    state = begun(revision=10)
    assert state.heartbeat(token(12), now=101.0) is None
    assert state.heartbeat(token(12), now=110.0) is None
    assert state.heartbeat(token(15), now=120.0) == Gap(token(12), 15, "a", None)


def test_a_new_connection_names_everything_since_the_last_heartbeat() -> None:
    state = begun(revision=10)
    state.interrupted()
    assert state.heartbeat(token(15), now=100.5) == Gap(token(10), 15, "a", None)
    assert state.heartbeat(token(16), now=101.5) is None


def test_another_history_is_told_by_a_resync_once() -> None:
    state = begun()
    state.tell(changed("a1", 11, 0))
    assert state.heartbeat(Token("f" * 16, 3), now=101.0) is None
    assert state.resync() == [Resync("unknown_history")]
    assert state.resync() == []
    assert state.is_new(changed("a1", 4, 3)) and state.gap_before(changed("a1", 4, 3)) is None


def test_what_cannot_be_fetched_begins_again_with_the_next_heartbeat() -> None:
    state = begun()
    state.lose("history_lost")
    assert not state.is_new(changed("a1", 20, 0))
    state.heartbeat(token(21), now=101.0)
    assert state.resync() == [Resync("history_lost")]
    assert state.is_new(changed("a1", 22, 20))


def test_the_keys_remembered_have_a_bound_and_nothing_is_told_twice() -> None:
    state = begun(keys_max=2)
    for number in range(1, 4):
        state.tell(changed(f"a{number}", 10 + number, 0))
    assert not state.is_new(changed("a1", 11, 0))
    assert state.gap_before(changed("a1", 20, 18)) == Gap(token(11), 19, "a1", "a1")
