"""The window of a session's numbers."""

from __future__ import annotations

import random

from entrepot._once import WINDOW, Session


def test_done_follows_the_lowest_number_that_has_not_ended() -> None:
    session = Session("s", "h")
    first, second, third = session.take(1), session.take(2), session.take(1)
    assert (list(first), list(second), list(third)) == ([1], [2, 3], [4])
    session.end(third)
    assert session.done == 0
    session.end(first)
    assert session.done == 1
    session.end(second)
    assert session.done == 4


def test_room_ends_with_the_window_and_comes_back() -> None:
    session = Session("s", "h")
    numbers = session.take(WINDOW)
    assert not session.has_room(1)
    session.end(numbers[1:])
    assert not session.has_room(1)
    session.end(numbers[:1])
    assert session.has_room(WINDOW)
    assert not session.has_room(WINDOW + 1)


def test_any_order_of_ending_leads_to_the_same_done() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    session = Session("s", "h")
    taken = [session.take(1) for _ in range(500)]
    random.Random(seed).shuffle(taken)
    ended = set()
    for numbers in taken:
        session.end(numbers)
        ended.update(numbers)
        assert session.done == next(n for n in range(0, 501) if n + 1 not in ended)
