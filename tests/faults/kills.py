"""`make kills`: kills a run at each changing call, cleans up, and checks that nothing is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PROJECT, fresh_lab
from tests.faults.clouds import behind, in_the_clouds, own, python
from tests.faults.proxy import Answer, Call, Send

NAME = "kills"
LIMIT = 600  # seconds for a run to reach the point where it is killed
ALL = ("00", "01", "02", "03", "04", "05", "06")


@dataclass(frozen=True)
class Place:
    """Where a run of these notebooks is killed: at its `call`-th changing call, or in a cell."""

    notebooks: tuple[str, ...]
    call: int = 0
    answered: bool = False  # the service has handled the call, but the run never gets the response
    cell: str = ""  # e.g. 02:3, or 02:end
    seconds: float = 0  # after the cell started

    def __str__(self) -> str:
        if self.cell:
            return f"{self.cell}+{self.seconds:g}s"
        return f"{self.notebooks[0]} call {self.call} {'done' if self.answered else 'not sent'}"


def at_call(number: int) -> Place:
    return Place(("01",), number, answered=number % 2 == 0)


def in_cell(cell: str, seconds: float = 0) -> Place:
    last = ALL.index(cell[:2])
    return Place(ALL[: last + 1], cell=cell, seconds=seconds)


CALLS = 49  # changing calls in notebook 01, including those for the network
# Google Cloud's part of notebook 00: the Cloud Router, then the cluster.
IN_GOOGLE = [Place(("00",), call, answered) for call in (1, 2) for answered in (False, True)]
# The end of every notebook, and points at which clusters, nodes, meshes and load balancers are being created.
CELLS = [
    in_cell("00:4", 1), in_cell("00:5", 1.5), in_cell("00:end"), in_cell("01:end"),
    in_cell("02:0", 2), in_cell("02:0", 6), in_cell("02:3", 3), in_cell("02:8", 1), in_cell("02:8", 4),
    in_cell("02:end"), in_cell("03:1", 2), in_cell("03:3", 2), in_cell("03:8", 3), in_cell("03:end"),
    in_cell("04:5"), in_cell("04:end"), in_cell("05:3"), in_cell("05:end"), in_cell("06:end"),
]  # fmt: skip


class Killed:
    """Kills the run's process group at the given point."""

    def __init__(self, place: Place) -> None:
        self.place, self.changes, self.group = place, 0, 0

    def __call__(self, call: Call, send: Send) -> Answer | None:
        self.changes += call.changes
        if not call.changes or self.changes != self.place.call:
            return send()
        if self.place.answered:
            send()
        os.killpg(self.group, signal.SIGKILL)
        return None


def kill(place: Place, environment: dict[str, str], folder: Path) -> bool:
    """Run until the given point; returns whether the run was killed there."""
    killed = Killed(place)
    argv = [sys.executable, "-m", "tests.faults.notebooks", *place.notebooks]
    if place.cell:
        argv += ["--die", place.cell, str(place.seconds)]
    with behind(environment, killed, folder) as its, (folder / "run.log").open("w") as log:
        run = subprocess.Popen(
            argv,
            env=its,
            cwd=PROJECT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        killed.group = run.pid
        return run.wait(LIMIT) == -signal.SIGKILL


def clean_up(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m helpers.cleanup` against the clouds' own endpoints and with the run's kubeconfig."""
    return python(own(environment, folder), "helpers.cleanup", *arguments)


def main(chosen: list[str]) -> None:
    failed, start = 0, time.monotonic()
    places = [at_call(number) for number in range(1, CALLS + 1)] + IN_GOOGLE + CELLS
    places = [place for place in places if not chosen or str(place) in chosen]
    with fresh_lab(NAME) as environment:
        before = in_the_clouds(environment)
        for place in places:
            with tempfile.TemporaryDirectory() as folder:
                killed = kill(place, environment, Path(folder))
                cleaned = clean_up(environment, Path(folder))
                left = in_the_clouds(environment) - before
                good = killed and cleaned.returncode == 0 and not left
                failed += not good
                print(f"{place!s:<28} {'nothing left' if good else 'FAILED'}", flush=True)
                if not good:
                    print(f"killed: {killed}; left: {left}\n{cleaned.stdout[-2000:]}{cleaned.stderr[-2000:]}")
                    print((Path(folder) / "run.log").read_text()[-2000:], flush=True)
    minutes = (time.monotonic() - start) / 60
    print(f"killed at {len(places)} places, {failed} with something left, {minutes:.0f} minutes")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
