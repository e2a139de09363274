"""What waits for the reader of an iterator, and the token that holds for what he was given."""

from __future__ import annotations

from typing import List, Optional

from entrepot import ChangesPage, Delete, Resync, Set, Token, errors
from entrepot._changes_pages import ChangesPages
from entrepot._inbox import Batch, Inbox
from entrepot.events import Change


def token(revision: int) -> Token:
    return Token("0" * 16, revision)


def changes(*versions: int) -> List[Change]:
    return [Set("a", version, version, version - 1) for version in versions]


def test_the_token_follows_what_was_taken() -> None:
    inbox = Inbox()
    inbox.put(Batch(changes(1, 2), token(2)))
    inbox.put(Batch(changes(3), token(3)))
    seen: List[Optional[Token]] = []
    while inbox.has_events():
        inbox.take_event()
        seen.append(inbox.token)
    assert seen == [None, token(2), token(3)]


def test_a_token_without_events_waits_behind_what_waits() -> None:
    inbox = Inbox()
    inbox.put(Batch([], token(1)))
    assert inbox.token == token(1)
    inbox.put(Batch(changes(2, 3), token(3)))
    inbox.put(Batch([], token(4)))
    assert inbox.token == token(1)
    inbox.take_event()
    inbox.put(Batch([], token(5)))
    assert inbox.token == token(1)
    inbox.take_event()
    assert inbox.token == token(5)


def test_a_resync_takes_the_token_away() -> None:
    inbox = Inbox()
    inbox.put(Batch([], token(1)))
    inbox.put(Batch([Resync("history_lost")], None))
    inbox.take_event()
    assert inbox.token is None


def test_a_batch_is_taken_whole() -> None:
    inbox = Inbox()
    inbox.put(Batch(changes(7, 7), token(7)))
    batch = inbox.take_batch()
    assert batch is not None and len(batch.events) == 2
    assert inbox.token == token(7)
    assert inbox.take_batch() is None


def test_what_was_taken_is_told_when_it_is_enough() -> None:
    inbox = Inbox()
    inbox.put(Batch(changes(1), token(1)))
    inbox.put(Batch(changes(2), token(2)))
    inbox.take_event()
    assert inbox.taken(at_least=2) == 0
    inbox.take_event()
    assert inbox.taken(at_least=2) == 2
    assert inbox.taken(at_least=1) == 0


def test_an_error_comes_behind_what_waits_and_the_readers_end_at_once() -> None:
    for error, left in ((errors.Closed("the client was closed"), True), (None, False)):
        inbox = Inbox()
        inbox.put(Batch(changes(1), token(1)))
        inbox.end(error)
        assert inbox.has_events() is left


def test_pages_end_where_there_is_no_more() -> None:
    pages = ChangesPages(token(1), goes_on=False)
    pages.put(ChangesPage(changes(2), token(2), more=True))
    assert pages.token == token(1)
    assert pages.take() is not None
    assert (pages.token, pages.has_ended) == (token(2), False)
    pages.put(ChangesPage([], token(5), more=False))
    assert (pages.take(), pages.token, pages.has_ended) == (None, token(5), True)


def test_pages_that_wait_end_when_one_comes_empty() -> None:
    pages = ChangesPages(token(1), goes_on=True)
    pages.put(ChangesPage([Delete("a", 2, 1)], token(2), more=False))
    assert not pages.has_ended
    assert pages.take() == Delete("a", 2, 1)
    pages.put(ChangesPage([], token(2), more=False))
    assert pages.has_ended
