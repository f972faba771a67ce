"""`make faults`: every call of a full run meets every fault; prints the outcome of the runs."""

import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import fresh_lab
from tests.faults.clouds import behind, in_the_clouds, python
from tests.faults.proxy import Answer, Call, Send, slow, throttled, unavailable

NAME = "faults"
CLEAR = re.compile(r"\A(?:Api|AlreadyExists|Command|Prerequisite|TimedOut|Tutorial|Unreachable)Error: .+")
Fault = Callable[[Call, Send], Answer | None]


def lost(call: Call, send: Send) -> None:
    """The service handles the request, but the response is lost."""
    send()


FAULTS: dict[str, Fault] = {
    "throttling": lambda call, send: throttled(call),
    "5xx": lambda call, send: unavailable(call),
    "dropped": lambda call, send: None,
    "answer lost": lost,
    "slow": lambda call, send: slow(send),
}


@dataclass
class Faulty:
    """Injects a fault the first time it sees a call, and lets its repetition through.

    Identical calls, such as those that poll a state, count as one.
    """

    faults: list[Fault]
    on: bool = True
    tried: dict[str, Call] = field(default_factory=dict)

    def __call__(self, call: Call, send: Send) -> Answer | None:
        if not self.on or call.what in self.tried:
            return send()
        self.tried[call.what] = call
        return self.faults[len(self.tried) % len(self.faults)](call, send)


@dataclass
class Figure:
    """What was tried, and the outcome."""

    calls: int = 0
    runs: int = 0
    at_once: int = 0
    second: int = 0
    failures: list[str] = field(default_factory=list)
    left: int = 0


class Trial:
    """Runs with one judge until all calls have met its faults."""

    def __init__(self, faults: list[Fault], environment: dict[str, str], clusters: bool) -> None:
        self.judge, self.environment, self.figure = Faulty(faults), environment, Figure()
        self.modules = ["tests.faults.provision", *([] if clusters else ["aws"])]

    def until_all_is_tried(self, folder: Path) -> Figure:
        before = in_the_clouds(self.environment)
        with behind(self.environment, self.judge, folder) as its:
            more = True
            while more:
                # If a run stopped early, there are calls left to try.
                more = not self._run(its, *self.modules)
                more |= not self._run(its, "tests.faults.clean_up")
        self.figure.calls = len(self.judge.tried)
        self.figure.left = len(in_the_clouds(self.environment) - before)
        return self.figure

    def _run(self, environment: dict[str, str], *module: str) -> bool:
        """Run with faults; if that fails, run again without. Returns whether the first run succeeded."""
        self.judge.on = True
        first = python(environment, *module)
        self.figure.runs += 1
        if first.returncode == 0:
            self.figure.at_once += 1
            return True
        self.judge.on = False
        second = python(environment, *module)
        self.figure.second += second.returncode == 0
        print(f"    {first.stderr.strip().splitlines()[0][:160]}", flush=True)
        if not CLEAR.match(first.stderr.strip()) or second.returncode:
            self.figure.failures.append(f"{first.stdout[-500:]}\n{first.stderr}\n{second.stderr}")
        return False


def main(chosen: list[str]) -> None:
    """With these faults, or all; with `aws`, without clusters."""
    failed, total, clusters = 0, Figure(), "aws" not in chosen
    with fresh_lab(NAME) as environment:
        for name in [name for name in chosen if name != "aws"] or FAULTS:
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                figure = Trial([FAULTS[name]], environment, clusters).until_all_is_tried(Path(folder))
            print(f"{name:<12} {_words(figure)}  ({time.monotonic() - start:.0f} s)", flush=True)
            for failure in figure.failures:
                print(f"  NOT CLEAR OR NOT COMPLETED: {failure}", flush=True)
            failed += len(figure.failures) + figure.left
            for count in ("calls", "runs", "at_once", "second", "left"):
                setattr(total, count, getattr(total, count) + getattr(figure, count))
    print(f"{'calls x faults':<12} {_words(total)}")
    sys.exit(bool(failed))


def _words(figure: Figure) -> str:
    return (
        f"{figure.calls} faults tried in {figure.runs} runs: {figure.at_once} completed at once, "
        f"{figure.second} after one clear error and a second run; {figure.left} left"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
