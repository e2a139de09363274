"""Followers by themselves: what the engine may do to them in one turn."""

from __future__ import annotations

import math
from typing import Any, Callable, List, Optional

import pytest

from entrepot import errors
from entrepot._exchange import Exchange
from entrepot._followers import EventFollower, Followers
from entrepot._inbox import Batch
from entrepot._options import CallOptions
from entrepot._subscription_follower import SubscriptionFollower
from entrepot._watch_follower import WatchFollower
from entrepot._watch_state import WatchOptions


class Reader:
    """Keeps why it was ended."""

    def __init__(self) -> None:
        self.ends: List[Optional[errors.EntrepotError]] = []

    def begin(self) -> None:
        raise AssertionError("nothing has begun")

    def put(self, batch: Batch) -> None:
        raise AssertionError(batch)

    def set_live(self, is_live: bool) -> None:
        assert not is_live

    def end(self, error: Optional[errors.EntrepotError]) -> None:
        self.ends.append(error)


class Host:
    """An engine that keeps what it is asked to send."""

    now = 0.0
    context: Any = None

    def __init__(self) -> None:
        self.submitted: List[Exchange] = []

    def submit(self, exchange: Exchange) -> None:
        self.submitted.append(exchange)

    def abandon(self, exchange: Exchange) -> None:
        exchange.error = errors.Closed("the caller gave up")
        exchange.on_end(exchange)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for in these tests")


def watch(reader: Reader) -> EventFollower:
    return WatchFollower(WatchOptions("a"), CallOptions(), reader)


def subscription(reader: Reader) -> EventFollower:
    return SubscriptionFollower("a", "tcp://127.0.0.1:1", None, CallOptions(), reader)


@pytest.mark.parametrize("build", [watch, subscription])
def test_one_that_was_ended_in_the_same_turn_asks_for_nothing(
    build: Callable[[Reader], EventFollower],
) -> None:
    host, reader = Host(), Reader()
    follower = build(reader)
    follower.attach(host)
    follower.advance(1.0)
    assert len(host.submitted) == 1
    follower.end(None)
    assert follower.advance(2.0) == math.inf
    assert (len(host.submitted), reader.ends) == (1, [None])


def test_removing_twice_ends_once() -> None:
    reader = Reader()
    follower = watch(reader)
    followers = Followers()
    followers.add(follower)
    followers.remove(follower, errors.Closed("the client was closed"))
    followers.remove(follower)
    assert [error and error.code for error in reader.ends] == ["closed"]
