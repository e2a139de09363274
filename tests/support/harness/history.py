"""What clients did and saw, and whether one order of it can explain everything.

Clients record each step: when it began and ended, what it wrote or read, and the version that the
answer carried. Since every answer carries a version, the order does not have to be searched for,
as general checkers do: revisions are the order. check() demands of a history that

 1. no revision was given to two writes;
 2. what is read was written, under that version, and not later than it was read;
 3. steps can be put at revisions so that each read is exact there, all keys of one step at once,
    and no step stands before one that had ended when it began: strict serializability, also
    across crashes of the server. A lost write, a stale read and half a transaction all break it;
 4. nothing is read after its time to live;
 5. the sums of increments, in the order of their versions, leave nothing out and repeat nothing.

A step without an answer may or may not have happened. If its value is read later, it did.
The values of different writes to one key must differ, except those of increments.

Thread safety: History from any thread; the rest are functions over values.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import threading
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

NEVER = math.inf
# Times to live are counted in whole milliseconds, by a clock that is read once a turn.
CLOCK_STEP_S = 0.001


@dataclasses.dataclass(frozen=True)
class Seen:
    """An entry, as a read showed it."""

    value: Any
    version: int


@dataclasses.dataclass
class Step:
    """One call of one client. `writes` has None for what was deleted, `reads` for what was absent.

    `version` is 0 and `end` is NEVER while there is no answer.
    """

    client: int
    begin: float
    end: float = NEVER
    version: int = 0
    writes: Dict[str, Any] = dataclasses.field(default_factory=dict)
    reads: Dict[str, Optional[Seen]] = dataclasses.field(default_factory=dict)
    ttl_s: Optional[float] = None
    increment_by: Optional[int] = None

    @property
    def answered(self) -> bool:
        return self.end != NEVER

    def __str__(self) -> str:
        what = f"wrote {self.writes} as {self.version or 'unknown'}" if self.writes else \
            f"read {self.reads}"
        return f"client {self.client} [{self.begin:.6f}, {self.end:.6f}] {what}"


class History:
    """The steps of all clients."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._steps: List[Step] = []

    def add(self, step: Step) -> None:
        with self._mutex:
            self._steps.append(step)

    def steps(self) -> List[Step]:
        with self._mutex:
            return list(self._steps)

    def answered(self) -> int:
        with self._mutex:
            return sum(step.answered for step in self._steps)


@dataclasses.dataclass(frozen=True)
class _Write:
    """A change of one key at one revision."""

    version: int
    step: Step
    deletes: bool


class _Timeline:
    """The changes of one key in the order of their versions."""

    def __init__(self, writes: Iterable[_Write], unknown_deletes: List[float]):
        self.writes = sorted(writes, key=lambda write: write.version)
        self.versions = [write.version for write in self.writes]
        # When deletes began of which nobody knows whether they happened.
        self._unknown_deletes = unknown_deletes

    def end_of(self, version: int) -> float:
        """The revision from which on `version` is not the newest any more."""
        at = bisect.bisect_right(self.versions, version)
        return self.versions[at] if at < len(self.versions) else NEVER

    def absent_from(self, revision: float, read_end: float) -> Optional[float]:
        """The first revision, not before `revision`, at which the key may be absent."""
        at = bisect.bisect_right(self.versions, revision) - 1
        while at < len(self.writes):
            if at < 0 or self._may_be_gone(self.writes[at], read_end):
                return max(revision, self.versions[at] if at >= 0 else 0)
            at += 1
        return None

    def _may_be_gone(self, write: _Write, read_end: float) -> bool:
        if write.deletes:
            return True
        ttl_s = write.step.ttl_s
        if ttl_s is not None and read_end + CLOCK_STEP_S >= write.step.begin + ttl_s:
            return True
        return any(begin < read_end for begin in self._unknown_deletes)


def check(steps: Iterable[Step]) -> List[str]:
    """What is wrong with this history, a line each; nothing when an order explains all of it."""
    steps = list(steps)
    faults: List[str] = []
    versions = _bind(steps, faults)
    _check_revisions(steps, versions, faults)
    timelines = _timelines(steps, versions)
    _check_order(steps, versions, timelines, faults)
    _check_sums(steps, faults)
    return faults


def _frozen(value: Any) -> Any:
    return repr(value)


def _bind(steps: List[Step], faults: List[str]) -> Dict[int, int]:
    """The version of each write that is known to have happened, by the identity of its step."""
    versions = {id(step): step.version for step in steps if step.writes and step.version}
    writers: Dict[Tuple[str, Any], List[Step]] = {}
    for step in steps:
        for key, value in step.writes.items():
            if value is not None:
                writers.setdefault((key, _frozen(value)), []).append(step)
    for step in steps:
        for key, seen in step.reads.items():
            if seen is None:
                continue
            named = writers.get((key, _frozen(seen.value)), [])
            if not named:
                faults.append(f"never written: {key} as {seen} ({step})")
                continue
            writer = next((one for one in named if versions.get(id(one)) == seen.version), None)
            if writer is None:
                writer = next((one for one in named if id(one) not in versions), None)
                if writer is None:
                    faults.append(f"other version: {key} as {seen}, but {named[0]} ({step})")
                    continue
                versions[id(writer)] = seen.version
            _check_times(step, key, writer, faults)
    return versions


def _check_times(read: Step, key: str, writer: Step, faults: List[str]) -> None:
    if writer.begin > read.end:
        faults.append(f"read before it was written: {key}, {writer} ({read})")
    if writer.ttl_s is not None and read.begin > writer.end + writer.ttl_s + CLOCK_STEP_S:
        faults.append(f"expired value: {key}, {writer} ({read})")


def _check_revisions(steps: List[Step], versions: Mapping[int, int], faults: List[str]) -> None:
    owners: Dict[int, Step] = {}
    for step in steps:
        version = versions.get(id(step))
        if version is None:
            continue
        if version in owners:
            faults.append(f"revision given twice: {version}, to {owners[version]} and {step}")
        owners[version] = step


def _timelines(steps: List[Step], versions: Mapping[int, int]) -> Dict[str, _Timeline]:
    writes: Dict[str, List[_Write]] = {}
    unknown_deletes: Dict[str, List[float]] = {}
    for step in steps:
        for key, value in step.writes.items():
            version = versions.get(id(step))
            if version is not None:
                writes.setdefault(key, []).append(_Write(version, step, value is None))
            elif value is None:
                unknown_deletes.setdefault(key, []).append(step.begin)
    keys = {key for step in steps for key in [*step.writes, *step.reads]}
    return {key: _Timeline(writes.get(key, []), unknown_deletes.get(key, [])) for key in keys}


def _check_order(steps: List[Step], versions: Mapping[int, int],
                 timelines: Mapping[str, _Timeline], faults: List[str]) -> None:
    """Puts each step at the first revision that what had ended before it allows."""
    placed: Dict[int, float] = {}
    by_end = sorted((step for step in steps if step.answered), key=lambda step: step.end)
    ended = 0
    told: float = 0  # The highest revision at which a step had to stand that has ended.
    for step in sorted(steps, key=lambda step: step.begin):
        while ended < len(by_end) and by_end[ended].end < step.begin:
            told = max(told, placed.get(id(by_end[ended]), 0))
            ended += 1
        version = versions.get(id(step))
        if version is not None:
            if told >= version:
                faults.append(f"written into the past: revision {told} was told before ({step})")
            placed[id(step)] = version
        elif step.reads and step.answered:
            placed[id(step)] = _place_read(step, told, timelines, faults)


def _place_read(step: Step, told: float, timelines: Mapping[str, _Timeline],
                faults: List[str]) -> float:
    exact = _instant(step, 0, timelines)
    if exact is None:
        faults.append(f"not one instant, or half a transaction: {step}")
        return told
    placed = _instant(step, told, timelines)
    if placed is None:
        faults.append(f"stale read or lost write: revision {told} was told before ({step})")
        return told
    return placed


def _instant(step: Step, earliest: float, timelines: Mapping[str, _Timeline]) -> Optional[float]:
    """The first revision from `earliest` on at which everything is as `step` read it."""
    present = {key: seen for key, seen in step.reads.items() if seen is not None}
    at = max([earliest, *(seen.version for seen in present.values())])
    moved = True
    while moved:
        moved = False
        for key, seen in step.reads.items():
            if seen is not None:
                continue
            absent = timelines[key].absent_from(at, step.end)
            if absent is None:
                return None
            moved = moved or absent > at
            at = absent
    if any(timelines[key].end_of(seen.version) <= at for key, seen in present.items()):
        return None
    return at


def _check_sums(steps: List[Step], faults: List[str]) -> None:
    by_key: Dict[str, List[Step]] = {}
    for step in steps:
        if step.increment_by is not None and step.answered:
            (key,) = step.writes
            by_key.setdefault(key, []).append(step)
    for key, increments in by_key.items():
        total = 0
        for step in sorted(increments, key=lambda step: step.version):
            assert step.increment_by is not None
            total += step.increment_by
            if step.writes[key] != total:
                faults.append(f"counted wrongly: {key} should be {total} ({step})")
                total = step.writes[key]
