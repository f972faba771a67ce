"""Requests from a pod at a steady rate, while something else happens: `with load.running() as sent:`.

Each is a curl of its own, so a new connection to the pod's sidecar. The proxies keep theirs open, and on open
connections a bad change goes unnoticed: resilience.one_request_per_connection().
"""

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from helpers.base import command
from helpers.base.errors import TutorialError
from helpers.base.tables import Table
from helpers.clusters import pods
from helpers.curl import Pod
from helpers.pictures import plots
from helpers.pictures.figures import Plot
from helpers.pictures.plots import Sample, bars
from helpers.proxies import SIDECAR

__all__ = ["Requests", "bars", "running", "table"]

_CONTAINER = "sleep"
_MOST = 20  # requests per second
_SLACK = 60  # seconds for starting and ending
# The loop prints the pod's clock and its own process; then, for each request, the clock when it was sent,
# status, curl's exit code and seconds. It is finite, since a program in a pod outlives a broken connection.
_NOW = "read now _ </proc/uptime; "
_CLOCK = ("$now ", f"trap stop=1 TERM; {_NOW}echo $now $$; ", f'[ "$stop" ] && break; {_NOW}')


class Requests:
    """The requests that have ended so far, and the moments that were marked, in seconds from the start."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.marks: list[tuple[float, str]] = []
        self.process = ""  # of the loop
        self._rest, self._here, self._there = b"", 0.0, 0.0  # the start by both machines' clocks

    @property
    def failures(self) -> list[Sample]:
        """Those without a 2xx response."""
        return [each for each in self.samples if not each.ok]

    def lately(self, seconds: float) -> list[Sample]:
        """Those sent in the last so many seconds."""
        return [each for each in self.samples if each.at > max(self.samples).at - seconds]

    def failing(self, seconds: float) -> float:
        """The share of requests sent in the last so many seconds that got no 2xx response, 0 to 1."""
        sent = self.lately(seconds)
        return sum(not each.ok for each in sent) / len(sent)

    @property
    def slowest(self) -> float:
        """Seconds until the slowest response."""
        return max(each.seconds for each in self.samples)

    def wait(self, seconds: float) -> None:
        """Let requests go on for so long."""
        time.sleep(seconds)

    def mark(self, name: str) -> None:
        """Give this moment a name, for the plot."""
        self.marks.append((time.monotonic() - self._here, name))

    def why(self) -> str:
        """With which status, or curl's exit code, requests failed, and how many."""
        failed = self.failures
        kinds = Counter(f"curl: ({one.exit_code})" if one.exit_code else str(one.status) for one in failed)
        return ", ".join(f"{kind}, {count} times" for kind, count in kinds.most_common())

    def table(self) -> Table:
        """How many were sent, how many failed and how, and when the first and the last of these was sent."""
        failed = sorted(self.failures)
        times = [f"{one.at:.1f} s" for one in (failed[0], failed[-1])] if failed else ["", ""]
        row = [f"{len(self.samples)} requests", f"{len(failed)} failed", *times, self.why()]
        return Table(("sent", "failed", "first failure", "last failure", "why"), [row])

    def plot(self, title: str) -> Plot:
        """Successes, failures and latency over time, with the marks."""
        return plots.timeline(title, self.samples, self.marks)

    def take(self, output: bytes) -> None:
        """What the loop prints, as it arrives."""
        *lines, self._rest = (self._rest + output).split(b"\n")
        for clock, *more in (line.decode().split() for line in lines):
            if self.process:
                at = float(clock) - self._there
                self.samples.append(Sample(at, float(more[2]), int(more[0]), int(more[1])))
            else:
                self._here, self._there, self.process = time.monotonic(), float(clock), more[0]


def table(drills: Mapping[str, Requests]) -> Table:
    """What the callers saw in each of several runs."""
    rows = [
        (
            name,
            f"{len(sent.samples)} requests",
            f"{len(sent.failures)} failed",
            sent.why(),
            f"{sent.slowest:.1f} s",
        )
        for name, sent in drills.items()
    ]
    return Table(("drill", "sent", "failed", "why", "slowest"), rows)


@contextmanager
def running(
    *args: str, pod: Pod = SIDECAR, rate: float = 10, patience: float = 10, timeout: float = 300
) -> Iterator[Requests]:
    """Send `rate` requests per second while the block runs, and wait for the last responses.

    `args` are curl's, by default the function's URL; the pod has a container `sleep` with curl, which waits
    `patience` seconds. The block may take `timeout` seconds.
    Raises TutorialError if nothing could be sent, or not during the whole block.
    """
    if not 0 < rate <= _MOST:
        raise TutorialError("Sending requests", f"{rate:g} per second are not possible", f"rate={_MOST}")
    script = partial(_script, shlex.join(args or ("lambda.external/hello-world",)), rate, patience, timeout)
    sent = Requests()
    loop = pods.Background(
        *pod,
        ["sh", "-c", script(*_CLOCK)],
        container=_CONTAINER,
        timeout=timeout + patience + 2 * _SLACK,
        output=sent.take,
    )
    ended = TutorialError("Sending requests", "it ended before the block did", "a longer timeout=")
    loop.start()
    while loop.is_alive() and not sent.process:
        time.sleep(0.02)
    if not sent.process:
        raise loop.error or ended
    command.show(command.shell_join([*pods.exec_words(*pod, _CONTAINER), "sh", "-c", script()]))
    try:
        yield sent
    finally:
        if whole := loop.is_alive():
            with suppress(TutorialError):  # it ends by itself, too
                pods.execute(*pod, ["sh", "-c", f"kill {sent.process}"], container=_CONTAINER)
            loop.join(patience + _SLACK)
    if not whole or loop.error or loop.is_alive():
        raise loop.error or ended
    if not sent.samples:
        raise TutorialError(
            "Sending requests", "no response arrived before the block ended", "a longer block"
        )


def _script(args: str, rate: float, patience: float, timeout: float, *clock: str) -> str:
    """The loop; without `clock`, as a reader would write it."""
    now, begin, each = clock or ("", "", "")
    told = "%{http_code} %{exitcode} %{time_total}"
    curl = f'curl -so /dev/null -m {patience:g} -w "{now}{told}\\n" {args}'
    return f"{begin}for n in $(seq {rate * timeout:.0f}); do {each}{curl} & sleep {1 / rate:.3g}; done; wait"
