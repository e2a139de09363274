"""The history checker itself: it finds each planted defect, and passes what a real server did."""

from __future__ import annotations

import copy
import pathlib
from typing import Any, Callable, Dict, List, Optional

import pytest

from harness.disk import kill, start_durable
from harness.history import NEVER, History, Seen, Step, check
from harness.peer import Peer
from harness.server import wait_until
from harness.workload import Client, all_keys, answers_of, at_work, errors_of

CLIENTS = 12
CRASHES = 3
ANSWERS_A_CYCLE = 500
TIMEOUT_S = 60


# ---- a history by hand --------------------------------------------------------------------------


def wrote(begin: float, end: float, version: int, ttl_s: Optional[float] = None,
          **writes: Any) -> Step:
    return Step(1, begin, end, version, writes=writes, ttl_s=ttl_s)


def read(begin: float, end: float, **reads: Any) -> Step:
    return Step(2, begin, end, reads={
        key: Seen(*seen) if seen is not None else None for key, seen in reads.items()})


def counted(begin: float, end: float, version: int, total: int) -> Step:
    return Step(3, begin, end, version, writes={"sum": total}, increment_by=1)


GOOD: Dict[str, List[Step]] = {
    "nothing": [],
    "a read behind a write": [wrote(0, 1, 1, a="x"), read(2, 3, a=("x", 1))],
    "a read beside a write sees either": [wrote(0, 5, 1, a="x"), read(1, 2, a=None),
                                          read(3, 4, a=("x", 1))],
    "a write without an answer that was not seen": [wrote(0, NEVER, 0, a="x"), read(2, 3, a=None)],
    "a write without an answer that was seen": [wrote(0, NEVER, 0, a="x"), read(2, 3, a=("x", 1))],
    "a delete": [wrote(0, 1, 1, a="x"), wrote(2, 3, 2, a=None), read(4, 5, a=None)],
    "a delete without an answer may have happened": [
        wrote(0, 1, 1, a="x"), wrote(2, NEVER, 0, a=None), read(4, 5, a=("x", 1)),
        read(6, 7, a=None)],
    "expiry": [wrote(0, 1, 1, ttl_s=1, a="x"), read(1, 1.5, a=("x", 1)), read(3, 4, a=None)],
    "a transaction is seen whole": [wrote(0, 1, 1, a="x", b="x"), wrote(2, 5, 2, a="y", b="y"),
                                    read(3, 4, a=("x", 1), b=("x", 1)),
                                    read(3, 4.5, a=("y", 2), b=("y", 2))],
    "sums": [counted(0, 1, 1, 1), counted(2, 5, 3, 3), counted(3, 4, 2, 2)],
}

BAD: Dict[str, "tuple[str, List[Step]]"] = {
    "a lost write": ("stale read or lost write", [
        wrote(0, 1, 1, a="x"), read(2, 3, a=None)]),
    "a lost overwrite": ("stale read or lost write", [
        wrote(0, 1, 1, a="x"), wrote(2, 3, 2, a="y"), read(4, 5, a=("x", 1))]),
    "a read that goes back": ("stale read or lost write", [
        wrote(0, 9, 1, a="x"), wrote(0.5, 9, 2, a="y"), read(1, 2, a=("y", 2)),
        read(3, 4, a=("x", 1))]),
    "a read that goes back across keys": ("stale read or lost write", [
        wrote(0, 1, 1, a="old"), wrote(1.5, 9, 2, a="new"), wrote(1.6, 9, 3, b="new"),
        read(3, 4, b=("new", 3)), read(5, 6, a=("old", 1))]),
    "an unanswered write that was seen, and then lost": ("stale read or lost write", [
        wrote(0, NEVER, 0, a="x"), read(1, 2, a=("x", 1)), read(3, 4, a=None)]),
    "a deleted entry that comes back": ("stale read or lost write", [
        wrote(0, 1, 1, a="x"), wrote(2, 3, 2, a=None), read(4, 5, a=("x", 1))]),
    "half a transaction": ("half a transaction", [
        wrote(0, 1, 1, a="x", b="x"), wrote(2, 3, 2, a="y", b="y"),
        read(2, 4, a=("y", 2), b=("x", 1))]),
    "half an unanswered transaction": ("half a transaction", [
        wrote(0, 1, 1, a="x", b="x"), wrote(2, NEVER, 0, a="y", b="y"),
        read(4, 5, a=("y", 2), b=("x", 1))]),
    "half a first transaction": ("half a transaction", [
        wrote(2, NEVER, 0, a="y", b="y"), read(4, 5, a=("y", 2), b=None)]),
    "a revision given twice": ("revision given twice", [
        wrote(0, 1, 1, a="x"), wrote(0, 1, 1, b="y")]),
    "a revision given twice after a crash": ("revision given twice", [
        wrote(0, 1, 7, a="x"), wrote(0, NEVER, 0, b="y"), read(2, 3, b=("y", 7))]),
    "a revision that fell": ("written into the past", [
        wrote(0, 1, 2, a="x"), wrote(2, 3, 1, b="y")]),
    "an expired value": ("expired value", [
        wrote(0, 1, 1, ttl_s=1, a="x"), read(2.5, 3, a=("x", 1))]),
    "an entry that expired too soon": ("stale read or lost write", [
        wrote(0, 1, 1, ttl_s=10, a="x"), read(2, 3, a=None)]),
    "a value out of nowhere": ("never written", [read(0, 1, a=("x", 1))]),
    "a value from the future": ("read before it was written", [
        read(0, 1, a=("x", 1)), wrote(2, 3, 1, a="x")]),
    "a value under another version": ("other version", [
        wrote(0, 1, 1, a="x"), read(2, 3, a=("x", 2))]),
    "an increment counted twice": ("counted wrongly", [
        counted(0, 1, 1, 1), counted(2, 3, 3, 3)]),
    "an increment lost": ("counted wrongly", [counted(0, 1, 1, 1), counted(2, 3, 2, 1)]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_history_that_an_order_explains(name: str) -> None:
    assert check(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_planted_defect_is_found(name: str) -> None:
    wanted, steps = BAD[name]
    faults = check(steps)
    assert any(fault.startswith(wanted) or wanted in fault for fault in faults), (name, faults)


# ---- a history of a real server -----------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> List[Step]:
    """What clients saw of a server that was killed three times."""
    data: pathlib.Path = tmp_path_factory.mktemp("history") / "data"
    history = History()
    clients = [Client(number, history, seed=number) for number in range(CLIENTS)]
    reader = Client(CLIENTS, history, seed=0)
    for _ in range(CRASHES):
        with start_durable(data) as server:
            until = answers_of(clients) + ANSWERS_A_CYCLE
            with at_work(clients, server.endpoint):
                wait_until(lambda: answers_of(clients) > until or bool(errors_of(clients)),
                           "the clients work", TIMEOUT_S)
                kill(server)
            assert errors_of(clients) == [], server.log()
    with start_durable(data) as server, Peer(server.endpoint) as peer:
        for client in clients:
            client.finish(peer)
        reader.read_all(peer, all_keys(clients))
    return history.steps()


def test_a_real_server_with_crashes_passes(recorded: List[Step]) -> None:
    assert len(recorded) > CRASHES * ANSWERS_A_CYCLE / 2
    assert check(recorded) == []


def drop_a_write(steps: List[Step]) -> None:
    """The newest acknowledged value of a key that was read at the end is not what is read."""
    last = next(step for step in reversed(steps) if len(step.reads) == 1
                and any(seen is not None for seen in step.reads.values()))
    ((key, seen),) = last.reads.items()
    assert seen is not None
    older = [step for step in steps if step.writes.get(key) is not None and step.answered
             and step.version < seen.version]
    newest = max(older, key=lambda step: step.version)
    last.reads[key] = Seen(newest.writes[key], newest.version)


def halve_a_transaction(steps: List[Step]) -> None:
    """A later reader sees one key of a pair as it was before."""
    for look in reversed(steps):
        pair = [key for key in look.reads if key.startswith("pair")]
        if len(pair) != 2 or any(look.reads[key] is None for key in pair):
            continue
        seen = look.reads[pair[0]]
        assert seen is not None
        older = [step for step in steps if pair[0] in step.writes and step.answered
                 and 0 < step.version < seen.version]
        if older:
            before = max(older, key=lambda step: step.version)
            look.reads[pair[0]] = Seen(before.writes[pair[0]], before.version)
            return
    raise AssertionError("the history has no transaction that was read")


def reuse_a_revision(steps: List[Step]) -> None:
    first, second = [step for step in steps if step.version and step.writes][:2]
    second.version = first.version


def count_twice(steps: List[Step]) -> None:
    step = next(step for step in steps if step.increment_by is not None and step.answered)
    (key,) = step.writes
    step.writes = {key: step.writes[key] + 1}


def show_an_expired_value(steps: List[Step]) -> None:
    """A reader at the end still sees what expired long ago."""
    last = max((step.end for step in steps if step.answered))
    written = next(step for step in steps if step.answered and step.ttl_s is not None
                   and step.version and step.end + step.ttl_s + 0.1 < last)
    ((key, value),) = written.writes.items()
    steps.append(Step(CLIENTS + 1, last + 0.1, last + 0.2,
                      reads={key: Seen(value, written.version)}))


@pytest.mark.parametrize("plant", [drop_a_write, halve_a_transaction, reuse_a_revision, count_twice,
                                   show_an_expired_value], ids=lambda plant: plant.__name__)
def test_a_defect_planted_into_it_is_found(recorded: List[Step],
                                           plant: Callable[[List[Step]], None]) -> None:
    steps = copy.deepcopy(recorded)
    plant(steps)
    assert check(steps) != []
