"""Streaming work: each job has a thread of its own, and is cancelled as soon as nobody wants its answer."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from gencomp.cores import usable_cores
from gencomp.errors import GencompError

Event = dict[str, Any]
Source = Callable[[], Iterator[Event]]

BEAT = 1.0  # seconds of silence after which a job says that it is still working
_AHEAD = 256  # events that nobody has taken yet
_MERGED = 0.03  # seconds for which pieces are put together


def failure(error: BaseException) -> str:
    """Return one line for people: what gencomp raises on purpose as it is, anything else as an internal error."""
    if isinstance(error, GencompError | ValueError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory; use a smaller model or a shorter text"
    return f"internal error: {type(error).__name__}: {error}"


class Compilations:
    """What is being compiled now, and how many functions have been compiled since the server started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[str] = []
        self.done = 0

    def told(self, name: str, done: bool) -> None:
        """Record what :func:`gencomp.compiled.watching` reports."""
        with self._lock:
            if not done:
                self._open.append(name)
            else:
                self.done += 1
                with contextlib.suppress(ValueError):
                    self._open.remove(name)

    @property
    def current(self) -> str | None:
        """The function that is being compiled."""
        with self._lock:
            return self._open[-1] if self._open else None


class Jobs:
    """The jobs of all pages. A job replaces an earlier one with the same page and slot."""

    def __init__(self, compilations: Compilations) -> None:
        self._compilations = compilations
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[int, threading.Event]] = {}
        self._threads: set[threading.Thread] = set()
        self._turns = threading.BoundedSemaphore(max(2, usable_cores()))
        self._closed = False

    def run(self, page: str, slot: str, source: Source, turn: int = 0) -> Iterator[Event]:
        """Yield the events of ``source``, computed in a thread; while it is silent, say that it works, and on what.

        A failure is the last event. If the caller stops taking events, or another job starts in the same slot, the job
        is cancelled at its next piece. Of two jobs the one with the later ``turn`` goes on, whichever arrives first,
        since a page's requests overtake one another.
        """
        done = self._compilations.done
        cancelled, events = threading.Event(), queue.Queue[Event | None](_AHEAD)
        with self._lock:
            before = self._running.get((page, slot))
            if before is not None and before[0] > turn:
                cancelled.set()
            else:
                if before is not None:
                    before[1].set()
                self._running[page, slot] = turn, cancelled
            if self._closed:
                cancelled.set()
            thread = threading.Thread(
                target=self._work, args=(source, cancelled, events), name=f"gencomp-play-{slot}", daemon=True
            )
            self._threads = {other for other in self._threads if other.is_alive()} | {thread}
            thread.start()
        try:
            yield from self._taken(events, done)
        finally:
            cancelled.set()
            with self._lock:
                if self._running.get((page, slot)) == (turn, cancelled):
                    del self._running[page, slot]

    def _taken(self, events: "queue.Queue[Event | None]", done: int) -> Iterator[Event]:
        started = time.monotonic()
        while True:
            try:
                event = events.get(timeout=BEAT)
            except queue.Empty:
                yield {
                    "event": "working",
                    "seconds": round(time.monotonic() - started, 1),
                    "compiling": self._compilations.current,
                    "compiled": self._compilations.done - done,
                }
                continue
            if event is None:
                return
            yield event

    def _work(self, source: Source, cancelled: threading.Event, events: "queue.Queue[Event | None]") -> None:
        def put(event: Event | None) -> None:
            while not cancelled.is_set():
                with contextlib.suppress(queue.Full):
                    events.put(event, timeout=0.2)
                    return

        try:
            for event in merged(self._pieces(source, cancelled)):
                put(event)
        except BaseException as error:  # the column shows it
            put({"event": "error", "message": failure(error)})
        if cancelled.is_set():
            with contextlib.suppress(queue.Full):
                events.put_nowait({"event": "cancelled"})
                events.put_nowait(None)
        put(None)

    def _pieces(self, source: Source, cancelled: threading.Event) -> Iterator[Event]:
        """Yield a source's events; as many sources work at a time as there are cores."""
        iterator: Iterator[Event] | None = None
        try:
            while not cancelled.is_set():
                with self._turns:
                    if iterator is None:
                        iterator = iter(source())
                    event = next(iterator, None)
                if event is None:
                    return
                yield event
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def close(self, seconds: float = 3.0) -> bool:
        """Cancel all jobs; return whether they have ended within ``seconds``."""
        with self._lock:
            self._closed = True
            for _, cancelled in self._running.values():
                cancelled.set()
            threads = list(self._threads)
        end = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _goes_on(held: Event, event: Event) -> bool:
    """Return whether one piece follows the other: bytes always do, costs if they begin where the others end."""
    if held["event"] != event["event"]:
        return False
    return held["event"] != "costs" or bool(held["start"] + len(held["costs"]) == event["start"])


def merged(events: Iterator[Event]) -> Iterator[Event]:
    """Yield events; pieces of costs or bytes that follow one another quickly are merged."""
    held: Event | None = None
    since = 0.0
    for event in events:
        kind = event["event"]
        if held is not None and (not _goes_on(held, event) or time.monotonic() - since > _MERGED):
            yield held
            held = None
        if kind not in ("costs", "bytes"):
            yield event
        elif held is None:
            held, since = dict(event), time.monotonic()
        elif kind == "costs":
            held["costs"] = held["costs"] + event["costs"]
        else:
            held["bytes"] = held["bytes"] + event["bytes"]
    if held is not None:
        yield held
