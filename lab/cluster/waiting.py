"""Waiting for programs, with a time limit."""

import time
from collections.abc import Callable, Iterable

from lab.errors import LabError
from lab.processes import Process

LIMIT = 900  # seconds: takes 10 on an idle machine, and far more on a busy emulated one


def wait_until(
    ready: Callable[[], bool], action: str, programs: Iterable[Process], timeout: float = LIMIT
) -> None:
    """Return as soon as `ready` is true; polled ten times a second.

    LabError when one of the programs ends meanwhile (with the end of its log), or after `timeout` seconds.
    """
    programs = list(programs)
    deadline = time.monotonic() + timeout
    while not ready():
        for program in programs:
            program.check()
        if time.monotonic() > deadline:
            logs = "\n".join(f"{program.log}:\n{program.tail(5)}" for program in programs)
            raise LabError(action, f"not ready after {timeout:.0f} s; the logs end with\n{logs}")
        time.sleep(0.1)
