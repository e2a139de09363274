"""The vectors again, through the client libraries: the same requests, and the same answers.

A library says requests, not bytes. A case is left out, and counted, where a step of it

- has an envelope, bytes that are no requests, or a notification: no library sends those,
- has what a watch or the feed's endpoint tells: the libraries hand that out as events of their own,
- has more than 512 requests, which a library sends in several bodies,
- expects another number of responses than of requests, which a library takes for a broken reply,
- expects `malformed`, which a library does not give rise to, or `overloaded`, which it does not tell
  before it has tried again, or
- has values whose encoding the objects of the language do not tell (a float of 32 bits in Python).
"""

from __future__ import annotations

import collections
import itertools
import os
import time
from typing import Any, Dict, Type, Union

import pytest

from harness import vectors
from harness import wire
from libraries import CannotExpress, CppLibrary, PythonLibrary
from runner import UNTIL_TIMEOUT_S
from server_pool import ServerPool

REQUESTS_MAX = 512
FEED_PARTS = {"told", "subscribe", "published"}
CASES = vectors.load_all()
# Of 537 cases; the rest is what no library does.
CASES_MIN = 400

Library = Union[PythonLibrary, CppLibrary]
# The short round is run where the C++ programs of this folder are not built.
LIBRARIES = (PythonLibrary,) if os.environ.get("ENTREPOT_QUICK") else (PythonLibrary, CppLibrary)
_case_numbers = itertools.count(1)


def check_expressible(step: Dict[str, Any]) -> None:
    """Raises CannotExpress where the shape of the step is none of a library's."""
    items = step.get("send", [])
    if "envelope" in step:
        raise CannotExpress("it has an envelope")
    if FEED_PARTS & set(step):
        raise CannotExpress("it has what is told without a request")
    if not items or any("call" not in item for item in items) or not step["expect"]:
        raise CannotExpress("it has bytes or notifications")
    requests = sum(item.get("numbered", item.get("times", 1)) for item in items)
    if requests > REQUESTS_MAX:
        raise CannotExpress(f"it has more than {REQUESTS_MAX} requests")
    if requests != sum(pattern.get("times", 1) for pattern in step["expect"]):
        raise CannotExpress("it expects another number of responses than of requests")
    for code in ("malformed", "overloaded"):
        if code in str(step["expect"]):
            raise CannotExpress(f"it expects {code}")


def run_step(library: Library, scope: vectors.Scope, peer: str, step: Dict[str, Any]) -> None:
    def send(sent: Dict[str, Any]) -> bytes:
        body, msgids = vectors.step_body(scope, sent)
        return library.exchange(peer, wire.decode_all(body))

    replies = [send(step)]
    while step.get("walk") and (cursor := wire.decode_all(replies[-1])[0].value[3].field("cursor")):
        replies.append(send(vectors.next_page(step, cursor)))
    body = vectors.join_pages(replies) if len(replies) > 1 else replies[0]
    # A library gives its own msgids.
    expected = [{**pattern, "msgid": 0} for pattern in step["expect"]]
    items = wire.decode_all(body)
    renumbered = b"".join(wire.encode_array([item.value[0].raw, wire.encode_int(0),
                                             item.value[2].raw, item.value[3].raw])
                          for item in items)
    vectors.match_responses(scope, expected, [], renumbered)


def run_case(library: Library, case: vectors.Case) -> None:
    number = next(_case_numbers)
    scope = vectors.Scope(f"library{number}/")
    peers = {step.get("peer", "a"): f"{step.get('peer', 'a')}{number}" for step in case.steps}
    for step in case.steps:
        deadline = time.monotonic() + UNTIL_TIMEOUT_S
        while True:
            try:
                run_step(library, scope, peers[step.get("peer", "a")], step)
                break
            except vectors.Mismatch as reason:
                if not step.get("until") or time.monotonic() > deadline:
                    raise AssertionError(f"{case.title}: {step}\n{reason}") from reason
    for peer in peers.values():
        library.close(peer)


@pytest.mark.parametrize("kind", LIBRARIES, ids=[kind.name for kind in LIBRARIES])
def test_vectors_through_a_library(kind: Type[Library]) -> None:
    pool = ServerPool(("zmq", "inline", "tcp"))
    libraries: Dict[str, Library] = {}
    left_out: Dict[str, int] = collections.Counter()
    for case in CASES:
        try:
            for step in case.steps:
                check_expressible(step)
            endpoint = pool.server_for(case.options).endpoint
            if endpoint not in libraries:
                libraries[endpoint] = kind(endpoint)
            run_case(libraries[endpoint], case)
        except CannotExpress as reason:
            left_out[str(reason)] += 1
    for library in libraries.values():
        library.close()
    for status, log in pool.stop():
        assert status == 0, log
    ran = len(CASES) - sum(left_out.values())
    print(f"{kind.name}: {ran} cases of {len(CASES)}; left out: {dict(left_out)}")
    assert ran >= CASES_MIN
