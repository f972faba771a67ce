"""Progress of long operations: one line that updates in a notebook, plain lines elsewhere."""

import functools
import re
import sys
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_fixed,
)

from helpers.base.errors import AlreadyExistsError, TimedOutError
from helpers.base.settings import current

T = TypeVar("T")
P = ParamSpec("P")
_LOST = 30  # responses that may get lost in one call of a helper
_WIDTH = 96
_READ_ONLY_LIMIT = 10  # seconds


def progress_line(what: str, state: str, seconds: float) -> str:
    """What is waited for, its state and the seconds so far; `progress_lines` parses it."""
    end = f" ({seconds:.0f} s)"
    return f"… {what}: {state}"[: _WIDTH - len(end)] + end


def progress_lines(text: str) -> list[tuple[str, int]]:
    """Each progress line in a text, with its seconds."""
    return [(line, int(seconds)) for line, seconds in re.findall(r"(… [^\r\n]*? \((\d+) s\))", text)]


class Line:
    """A line that says what is waited for; it is removed in the end, so that outputs are stable."""

    def __init__(self, what: str) -> None:
        self.what, self.since, self.last = what, time.monotonic(), ""
        self.updates = sys.stdout.isatty() or type(sys.stdout).__module__.startswith("ipykernel")
        self.written = False

    def say(self, state: str) -> None:
        """Show the state and the seconds so far; if lines cannot update, only when the state changes."""
        if self.updates:
            text = progress_line(self.what, state, time.monotonic() - self.since)
            print(f"\r{text:{_WIDTH}}", end="", flush=True)
            self.written = True
        elif state != self.last:
            print(f"… {self.what}: {state}", flush=True)
        self.last = state

    def end(self) -> None:
        """Wipe the line."""
        if self.written:
            print("\r" + " " * _WIDTH + "\r", end="", flush=True)


def wait_until(
    what: str,
    probe: Callable[[], T],
    done: Callable[[T], bool],
    *,
    timeout: float,
    interval: float = 1,
    state: Callable[[T], str] = str,
    hint: str = "",
    event: bool = False,
) -> T:
    """Call `probe` every `interval` seconds until `done`; raises TimedOutError after `timeout` seconds.

    In read-only mode the wait is short: what is not ready already is broken. An `event`, such as a request
    that appears in a log, was caused just now, and is waited for as usual.
    """
    line, timeout = Line(what), timeout if event else _at_most(timeout)

    def say(attempt: RetryCallState) -> None:
        if attempt.outcome is not None:
            line.say(state(attempt.outcome.result()))

    waiting = Retrying(
        retry=retry_if_result(lambda answer: not done(answer)),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(interval),
        before_sleep=say,
    )
    try:
        return waiting(probe)
    except RetryError as late:
        last = state(late.last_attempt.result())
        raise TimedOutError(f"Waiting for {what}", f"still “{last}” after {timeout:g} s", hint) from None
    finally:
        line.end()


def retry_while(
    what: str,
    do: Callable[[], T],
    again: Callable[[BaseException], bool],
    *,
    timeout: float,
    interval: float = 3,
) -> T:
    """Retry while it fails with a transient error; the last error is raised."""
    line, timeout = Line(what), _at_most(timeout)

    def say(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        line.say(getattr(error, "code", "not yet"))

    trying = Retrying(
        retry=retry_if_exception(again),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(interval),
        before_sleep=say,
        reraise=True,
    )
    try:
        return trying(do)
    finally:
        line.end()


def _at_most(timeout: float) -> float:
    return min(timeout, _READ_ONLY_LIMIT) if current().TUTORIAL_READ_ONLY else timeout


def resume_after_lost_answer(ensure: Callable[P, T]) -> Callable[P, T]:
    """For functions that create only what is missing: if a response was lost, run again from the start."""

    @functools.wraps(ensure)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        retry, stop = retry_if_exception_type(AlreadyExistsError), stop_after_attempt(_LOST)
        wait = wait_exponential(multiplier=0.1, max=2)  # the cloud may not list yet what it has just created
        return Retrying(retry=retry, stop=stop, wait=wait, reraise=True)(ensure, *args, **kwargs)

    return again
