"""The rules of docs/CLIENTS.md: deadlines, retries, ``once`` and reconnection, without a thread.

Whoever drives the engine (a thread for the blocking client, the event loop for the asyncio one)
calls ``submit`` with exchanges, and ``advance`` after that, when a socket of ``sockets()`` is
ready, and when the time of ``next_at()`` has come; then it looks at ``sockets()`` again and calls
``close_unused``. Nothing here blocks or reads a clock.

    submit → WAITING → IN_FLIGHT → ENDED
               ↓ ↑        │  ↓
    WRITE_WAITING │       │  PAUSED (told to come back later)
                  └───────┴──┘  (attempt timed out, connection ended, pause over)

A write waits as WRITE_WAITING for its session, or for room in that session's window of numbers.
Watches and subscriptions are followers (``_followers.py``), driven in the same turns.

Thread safety: none; the engine and its sockets belong to one thread.

Invariants:
 1. An exchange ends exactly once, at its deadline at the latest.
 2. An exchange that may have run never ends as ``unreachable``.
 3. A write is sent a second time only with the ``once`` of the first, unless the first certainly
    left nothing in this history of the store.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import Deque, Dict, Iterable, List, Optional, Tuple

import zmq

from . import errors
from ._calls import hello_with_session
from ._codec import Response, decode
from ._exchange import Exchange, State
from ._followers import Follower, Followers, Listener
from ._link import Link, LinkEvent
from ._links import Links
from ._once import Session

# Bodies on their way at once; more wait here, where they cost the server nothing.
IN_FLIGHT_MAX = 256

MSGID_MAX = 2**32 - 1

# Errors by which the server says that the request did not run and may be sent again.
_COME_BACK = frozenset({"overloaded", "unavailable"})


class Engine:
    """See the module."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, connect_wait_ms: float
    ) -> None:
        self.context = context
        # The time of the latest turn.
        self.now = 0.0
        self._links = Links(context, endpoint)
        self._followers = Followers()
        self._connect_wait_seconds = connect_wait_ms / 1000
        self._session: Optional[Session] = None
        self._hello: Optional[Exchange] = None
        self._live: Dict[int, Exchange] = {}
        self._waiting: Deque[Exchange] = deque()
        self._writes_waiting: Deque[Exchange] = deque()
        # By the msgid of the next answer: all that were sent and have not ended.
        self._sent: Dict[int, Exchange] = {}
        self._in_flight = 0
        # Something could be sent now, if there were a connection to send it on.
        self._needs_link = False
        # (when, order); an entry whose exchange has ended means nothing any more.
        self._timers: List[Tuple[float, int]] = []
        self._next_order = 1
        self._next_msgid = 1

    # For the driver.

    def submit(self, exchange: Exchange) -> None:
        self._admit(exchange)
        self._waiting.append(exchange)

    def abandon(self, exchange: Exchange) -> None:
        """The caller has gone; what it asked may still happen."""
        if not exchange.has_ended:
            self._end(exchange, errors.Closed("the caller gave up"))

    def advance(self, now: float) -> None:
        """Takes what has come in, does what is due, sends what can be sent."""
        self.now = now
        self._turn(now)
        while self._is_signalled():
            self._turn(now)
        self._links.drop_idle(keep_trying=bool(self._live))

    def _turn(self, now: float) -> None:
        while self._read(now):
            pass
        self._fire_timers(now)
        self._followers.advance(now)
        self._flush(now)

    def _is_signalled(self) -> bool:
        """Whether a socket is ready now for what it is waited for.

        Whoever waits for ZMQ_FD is not told again: reading may use up the signal that one can send,
        sending may use up the signal that something came in (zmq_getsockopt(3), ZMQ_FD).
        """
        return any(
            int(socket.getsockopt(zmq.EVENTS)) & flags for socket, flags in self.sockets().items()
        )

    def next_at(self) -> Optional[float]:
        """When ``advance`` is due at the latest; None: not before a socket is readable."""
        while self._timers and self._timers[0][1] not in self._live:
            heapq.heappop(self._timers)
        due = [self._timers[0][0]] if self._timers else []
        if self._links.current is None and self._needs_link:
            due.append(self._links.reopen_at)
        if self._followers.next_at < math.inf:
            due.append(max(self._followers.next_at, self.now))
        return min(due, default=None)

    def sockets(self) -> Dict[zmq.Socket[bytes], int]:
        """The sockets to wait for, each with zmq's flags of what. ``advance`` changes them."""
        watched: Dict[zmq.Socket[bytes], int] = {
            socket: zmq.POLLIN for link in self._links.all() for socket in link.sockets()
        }
        if self._needs_link and self._links.current is not None:
            watched[self._links.current.socket] = zmq.POLLIN | zmq.POLLOUT
        watched.update((socket, zmq.POLLIN) for socket in self._followers.sockets())
        return watched

    def close_unused(self) -> None:
        """Closes sockets that ``sockets`` does not name any more."""
        self._links.close_unused()
        self._followers.close_unused()

    def close(self) -> None:
        """Ends everything as ``closed`` and closes all sockets."""
        self._followers.close()
        for exchange in list(self._live.values()):
            self._end(exchange, errors.Closed("the client was closed"))
        self._links.close()

    # For followers: see ``Host``.

    def follow(self, follower: Follower) -> None:
        follower.attach(self)
        self._followers.add(follower)

    def unfollow(self, follower: Follower, error: Optional[errors.EntrepotError] = None) -> None:
        self._followers.remove(follower, error)

    def current_link(self) -> Optional[Link]:
        return self._links.current

    def renew(self, link: Link) -> None:
        self._retire(link)
        repeated = [other for other in _in_flight_on(link) if other.retries_left > 0]
        for other in repeated:
            other.retries_left -= 1
        self._send_again(repeated)

    def listen(self, link: Link, number: int, listener: Listener) -> None:
        self._followers.listen(link, number, listener)

    def stop_listening(self, link: Link, number: int) -> None:
        self._followers.stop_listening(link, number)

    def call_soon(self) -> None:
        self._followers.call_soon()

    def close_later(self, link: Link) -> None:
        self._followers.close_later(link)

    # Coming in.

    def _read(self, now: float) -> bool:
        """True when something came in, so that there may be more to do."""
        busy = False
        for link in self._links.all():
            for body in link.receive():
                busy = True
                self._take_message(link, body, now)
            for event in link.events():
                busy = True
                self._take_event(link, event, now)
        return busy

    def _take_event(self, link: Link, event: LinkEvent, now: float) -> None:
        cut_off: List[Exchange] = []
        if event in (LinkEvent.DOWN, LinkEvent.HANDSHAKE_FAILED):
            cut_off = _in_flight_on(link)
            self._followers.cut_off(link)
        self._links.note_event(link, event, now)
        self._send_again(cut_off)
        if self._links.failing_since is not None:
            self._end_unreachable(self._links.failing_since, now)

    def _take_message(self, link: Link, body: bytes, now: float) -> None:
        try:
            responses, notifications = decode(body)
            for notification in notifications:
                self._followers.take(link, notification)
        except errors.BadReply as error:
            self._retire(link)
            for exchange in _in_order(link.pending):
                self._end(exchange, errors.BadReply(error.message))
            return
        if not responses:
            return
        self._links.note_answer()
        head = responses[0]
        if head.msgid == 0 and head.error is not None and link.pending:
            # The server could not read the msgid: a body over a limit. It was the largest.
            largest = max(link.pending, key=lambda pending: len(pending.body()))
            self._end(largest, errors.from_wire(head.error))
            return
        if head.msgid not in self._sent:
            return  # It has ended: a late or a doubled answer.
        exchange = self._sent[head.msgid]
        if [response.msgid for response in responses] != exchange.msgids():
            self._end(exchange, errors.BadReply("the answers do not pair with the requests"))
            return
        exchange.answered_on = link
        self._settle(exchange, responses, now)

    def _settle(self, exchange: Exchange, responses: List[Response], now: float) -> None:
        if exchange.session is not None and any(
            response.error_code == "session_expired" for response in responses
        ):
            self._renew_session(exchange)
            return
        final_count = len(responses)
        while final_count > 0 and responses[final_count - 1].error_code in _COME_BACK:
            final_count -= 1
        if final_count < len(responses) and exchange.retries > 0:
            resume_at = now + exchange.pause_seconds(responses[final_count])
            if resume_at < exchange.deadline:
                self._pause(exchange, responses[:final_count], resume_at)
                return
        del self._sent[exchange.next_msgid]
        exchange.responses.extend(responses)
        self._end(exchange, None)

    def _pause(self, exchange: Exchange, final: List[Response], resume_at: float) -> None:
        """Told to come back later: the requests behind those with a final answer did not run."""
        exchange.account_for_send()
        self._move(exchange, State.PAUSED)
        self._sent.pop(exchange.next_msgid)
        exchange.responses.extend(final)
        self._sent[exchange.next_msgid] = exchange
        exchange.resume_at = resume_at
        self._set_timer(resume_at, exchange)

    def _renew_session(self, exchange: Exchange) -> None:
        """``session_expired``: this attempt did not run, but an earlier one may have."""
        session = exchange.session
        assert session is not None
        if self._session is session:
            self._session = None
        exchange.account_for_send()
        if exchange.maybe_applied and exchange.lost_history is None:
            exchange.lost_history = session.history
        session.end(exchange.numbers)
        exchange.session = None
        exchange.numbers = range(0)
        del self._sent[exchange.next_msgid]
        exchange.parts = []
        self._move(exchange, State.WRITE_WAITING)
        self._writes_waiting.append(exchange)

    # Time.

    def _set_timer(self, when: float, exchange: Exchange) -> None:
        heapq.heappush(self._timers, (when, exchange.order))

    def _fire_timers(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            exchange = self._live.get(heapq.heappop(self._timers)[1])
            if exchange is not None:
                self._check(exchange, now)

    def _check(self, exchange: Exchange, now: float) -> None:
        if now >= exchange.deadline:
            self._end_late(exchange)
        elif exchange.state is State.PAUSED and _reached(exchange.resume_at, now):
            self._send_again([exchange])
        elif exchange.state is State.IN_FLIGHT and _reached(exchange.attempt_ends, now):
            link = exchange.link
            assert link is not None
            self.renew(link)

    def _end_late(self, exchange: Exchange) -> None:
        trouble = self._links.trouble
        current = self._links.current
        if exchange.maybe_applied or (current is not None and current.is_up):
            text = f"No answer from {self._links.endpoint} within {exchange.timeout_ms:.0f} ms."
            self._end(exchange, errors.Timeout(f"{text} {trouble}" if trouble else text))
        else:
            text = f"No connection to {self._links.endpoint} within {exchange.timeout_ms:.0f} ms."
            self._end(exchange, errors.Unreachable(trouble or text))

    def _end_unreachable(self, failing_since: float, now: float) -> None:
        for exchange in [*self._waiting, *self._writes_waiting]:
            waited_seconds = now - max(failing_since, exchange.created)
            if (
                not exchange.has_ended
                and not exchange.maybe_applied
                and waited_seconds >= self._connect_wait_seconds
            ):
                self._end(exchange, errors.Unreachable(self._links.trouble or "No connection."))

    # Going out.

    def _flush(self, now: float) -> None:
        self._needs_link = False
        while self._in_flight < IN_FLIGHT_MAX:
            queue = self._queue_to_send_from(now)
            if not queue:
                return
            exchange = queue[0]
            if not exchange.parts and not self._prepare(exchange):
                queue.popleft()
                continue
            link = self._open_link(now)
            if link is None or not link.send(exchange.body()):
                self._needs_link = bool(self._live)
                return
            queue.popleft()
            self._note_sent(exchange, link, now)

    def _open_link(self, now: float) -> Optional[Link]:
        try:
            return self._links.open(now)
        except errors.InvalidArgument as error:
            for exchange in list(self._live.values()):
                self._end(exchange, errors.InvalidArgument(error.message))
            return None

    def _queue_to_send_from(self, now: float) -> Deque[Exchange]:
        """Writes that have waited for a session or for room, then the others."""
        for queue, state in (
            (self._writes_waiting, State.WRITE_WAITING),
            (self._waiting, State.WAITING),
        ):
            while queue and queue[0].state is not state:
                queue.popleft()
        if self._writes_waiting:
            first = self._writes_waiting[0]
            if self._session is None:
                self._ask_for_session(first, now)
            elif self._session.has_room(first.write_count):
                return self._writes_waiting
        return self._waiting

    def _prepare(self, exchange: Exchange) -> bool:
        """Gives it msgids and numbers. False when it has to wait for them, or has ended."""
        if exchange.needs_once and not self._take_numbers(exchange):
            return False
        if self._next_msgid + len(exchange.requests) > MSGID_MAX:
            self._next_msgid = 1
        exchange.first_msgid = self._next_msgid
        self._next_msgid += len(exchange.requests)
        numbers = iter(exchange.numbers)
        session = exchange.session
        for index, request in enumerate(exchange.requests):
            once = None
            if session is not None and request.is_write:
                once = (session.id, next(numbers), session.done)
            exchange.parts.append(request.encode(exchange.first_msgid + index, once))
        return True

    def _take_numbers(self, exchange: Exchange) -> bool:
        session = self._session
        if session is None or not session.has_room(exchange.write_count):
            self._move(exchange, State.WRITE_WAITING)
            self._writes_waiting.append(exchange)
            return False
        if exchange.lost_history == session.history:
            self._end(
                exchange,
                errors.OutcomeUnknown(
                    "an earlier attempt may have run, and the server has forgotten its session"
                ),
            )
            return False
        if exchange.lost_history is not None:
            # Another history: what the earlier attempt may have done is not in this store.
            exchange.lost_history = None
            exchange.sends_unaccounted = 0
        exchange.session = session
        exchange.numbers = session.take(exchange.write_count)
        return True

    def _note_sent(self, exchange: Exchange, link: Link, now: float) -> None:
        self._move(exchange, State.IN_FLIGHT)
        self._sent[exchange.next_msgid] = exchange
        exchange.sends_unaccounted += 1
        exchange.link = link
        link.pending.add(exchange)
        if exchange.retries_left > 0:
            exchange.attempt_ends = now + exchange.attempt_seconds
            self._set_timer(exchange.attempt_ends, exchange)
        else:
            exchange.attempt_ends = None

    def _send_again(self, exchanges: List[Exchange]) -> None:
        """Before everything else that waits, in the order given."""
        for exchange in reversed(exchanges):
            if exchange.retries == 0:
                trouble = self._links.trouble or "The connection ended."
                self._end(exchange, errors.ConnectionLost(trouble))
            elif exchange.state in (State.IN_FLIGHT, State.PAUSED):
                self._move(exchange, State.WAITING)
                self._waiting.appendleft(exchange)

    def _retire(self, link: Link) -> None:
        """Nothing more is sent on it."""
        self._links.retire(link)
        self._followers.cut_off(link)

    # The session.

    def _ask_for_session(self, asker: Exchange, now: float) -> None:
        if self._hello is not None:
            return
        self._hello = Exchange(
            [hello_with_session()],
            created=now,
            timeout_ms=(asker.deadline - now) * 1000,
            retries=asker.retries,
            on_end=self._take_session,
        )
        self._admit(self._hello)
        self._waiting.appendleft(self._hello)

    def _take_session(self, hello: Exchange) -> None:
        self._hello = None
        if hello.error is not None:
            return  # Not answered. Writes that still wait ask again, and have their own deadlines.
        response = hello.responses[0]
        session_id = response.result.get("session")
        history = response.result.get("history")
        if isinstance(session_id, str) and isinstance(history, str):
            self._session = Session(session_id, history)
        elif response.error_code not in _COME_BACK:
            for exchange in [*self._writes_waiting]:
                if not exchange.has_ended:
                    self._end(exchange, _no_session(response))

    # The life of an exchange.

    def _admit(self, exchange: Exchange) -> None:
        exchange.order = self._next_order
        self._next_order += 1
        self._live[exchange.order] = exchange
        self._set_timer(exchange.deadline, exchange)

    def _move(self, exchange: Exchange, state: State) -> None:
        self._in_flight += (state is State.IN_FLIGHT) - (exchange.state is State.IN_FLIGHT)
        exchange.state = state

    def _end(self, exchange: Exchange, error: Optional[errors.EntrepotError]) -> None:
        if error is not None:
            error.maybe_applied |= exchange.maybe_applied and exchange.write_count > 0
        exchange.error = error
        self._move(exchange, State.ENDED)
        del self._live[exchange.order]
        if self._sent.get(exchange.next_msgid) is exchange:
            del self._sent[exchange.next_msgid]
        for link in self._links.all():
            link.pending.discard(exchange)
        if exchange.session is not None:
            exchange.session.end(exchange.numbers)
        exchange.on_end(exchange)


def _in_order(exchanges: Iterable[Exchange]) -> List[Exchange]:
    return sorted(exchanges, key=lambda exchange: exchange.order)


def _in_flight_on(link: Link) -> List[Exchange]:
    """Those whose latest attempt was sent on this link."""
    return [
        exchange
        for exchange in _in_order(link.pending)
        if exchange.state is State.IN_FLIGHT and exchange.link is link
    ]


def _reached(when: Optional[float], now: float) -> bool:
    return when is not None and now >= when


def _no_session(response: Response) -> errors.EntrepotError:
    if response.error is not None:
        return errors.from_wire(response.error)
    return errors.BadReply("the server's hello holds no session")
