"""The dictionary of a mirror, with scripted batches: it shows whole instants only."""

from __future__ import annotations

from typing import Any, Sequence

from entrepot import Delete, Difference, Expired, Item, Resync, Set, Snapshot, Synced, Token, Touch
from entrepot._inbox import Batch
from entrepot._mirror_state import MirrorState
from entrepot.events import WatchEvent

HISTORY = "0123456789abcdef"


def take(state: MirrorState, events: Sequence[WatchEvent], revision: int = 0) -> Any:
    return state.take(Batch(events, Token(HISTORY, revision) if revision else None))


def synced(revision: int) -> Synced:
    return Synced(Token(HISTORY, revision))


def whole() -> MirrorState:
    """A mirror that shows a=1 and b=2 at revision 10."""
    state = MirrorState()
    take(state, [Snapshot("a", 1, 3), Snapshot("b", 2, 4)])
    take(state, [synced(10)], 10)
    return state


def test_a_snapshot_is_shown_when_it_is_whole() -> None:
    state = MirrorState()
    assert take(state, [Snapshot("a", 1, 3), Set("b", 9, 9, 0), Snapshot("c", 3, 5)]) == []
    assert take(state, [Delete("c", 10, 5)]) == []
    assert (state.items, state.token) == ({}, None)
    differences = take(state, [synced(10)], 10)
    assert state.items == {"a": Item("a", 1, 3), "b": Item("b", 9, 9)}
    assert differences == [Difference(key, None, item) for key, item in state.items.items()]
    assert state.token == Token(HISTORY, 10)


def test_every_kind_of_change_is_shown_and_told() -> None:
    state = whole()
    assert take(state, [Set("a", 5, 11, 3), Touch("b", 11, 4)], 11) == [
        Difference("a", Item("a", 1, 3), Item("a", 5, 11)),
        Difference("b", Item("b", 2, 4), Item("b", 2, 11)),
    ]
    assert take(state, [Expired("a", 12, 11), Delete("b", 13, 11)], 13) == [
        Difference("a", Item("a", 5, 11), None),
        Difference("b", Item("b", 2, 11), None),
    ]
    assert state.items == {}


def test_a_resync_is_not_seen_before_its_snapshot_is_whole() -> None:
    state = whole()
    take(state, [Resync("history_lost")])
    take(state, [Snapshot("a", 1, 3), Snapshot("c", 7, 8)])
    assert set(state.items) == {"a", "b"}
    assert take(state, [synced(20)], 20) == [
        Difference("b", Item("b", 2, 4), None),
        Difference("c", None, Item("c", 7, 8)),
    ]
    assert set(state.items) == {"a", "c"}


def test_a_snapshot_broken_off_leaves_nothing_behind() -> None:
    state = MirrorState()
    take(state, [Snapshot("gone", 1, 3)])
    take(state, [Resync("interrupted"), Snapshot("a", 1, 5)])
    take(state, [synced(6)], 6)
    assert set(state.items) == {"a"}


def test_a_resumed_watch_changes_nothing() -> None:
    state = whole()
    assert take(state, [synced(10)], 10) == []
    assert set(state.items) == {"a", "b"}


def test_the_token_moves_on_without_events() -> None:
    state = whole()
    assert take(state, [], 15) == []
    assert state.token == Token(HISTORY, 15)
