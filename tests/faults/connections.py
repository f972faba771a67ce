"""Breaks connections to Kubernetes API servers during runs of all notebooks."""

import itertools
import random
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.relay import Relay
from tests.conftest import fresh_lab
from tests.faults.clouds import behind, in_the_clouds, python
from tests.faults.kills import ALL, clean_up
from tests.faults.proxy import Answer, Call, Send

NAME = "connections"
CLEAR = re.compile(
    r"^(?:Api|AlreadyExists|Command|Prerequisite|TimedOut|Tutorial|Unreachable)Error: .+$", re.M
)
_ENDPOINT = re.compile(rb'("endpoint": ?"(?:https://)?127\.0\.0\.1:)(\d+)')
_SHARE = 0.2  # of all connections; a command that opens several must succeed within a few attempts
_SLOW = 12.0  # seconds; Go's clients and the helpers time out after ten


def _dropped() -> None:
    raise ConnectionResetError


FAULTS: dict[str, Callable[[], None]] = {"dropped": _dropped, "slow": lambda: time.sleep(_SLOW)}


class Connections:
    """Relays in front of the API servers; the clouds' responses are rewritten to contain their addresses."""

    def __init__(self, fault: Callable[[], None], seed: int) -> None:
        self.on, self.made, self.broken = True, 0, 0
        self._fault, self._chance = fault, random.Random(seed)
        self._relays: dict[int, tuple[Relay, int]] = {}

    def judge(self, call: Call, send: Send) -> Answer:
        """The cloud's response, in which the relay's port replaces an API server's."""
        answer = send()
        return replace(answer, body=_ENDPOINT.sub(self._relayed, answer.body))

    def close(self) -> None:
        for relay, _ in self._relays.values():
            relay.close()

    def _relayed(self, found: re.Match[bytes]) -> bytes:
        port = int(found[2])
        if port not in self._relays:
            listener = socket.create_server(("127.0.0.1", 0))
            near = listener.getsockname()[1]
            self._relays[port] = Relay().start(listener, lambda _: self._connected(port)), near
        return found[1] + b"%d" % self._relays[port][1]

    def _connected(self, port: int) -> socket.socket:
        if self.on:
            self.made += 1
            if self._chance.random() < _SHARE:
                self.broken += 1
                self._fault()
        return socket.create_connection(("127.0.0.1", port))


@dataclass
class Figure:
    """The outcome of a run of all notebooks with faults."""

    at_once: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        second = "".join(f"\n    {line[:100]}" for line in self.second)
        return (
            f"{len(ALL)} notebooks, {len(self.at_once)} completed at once,"
            f" {len(self.second)} after one clear error and a second run{second}"
        )


def run(connections: Connections, environment: dict[str, str], folder: Path) -> Figure:
    """Run all notebooks; one that ends in an error runs again, without faults."""
    figure = Figure()
    with behind(environment, connections.judge, folder) as its:
        for number in ALL:
            connections.on = True
            first = python(its, "tests.faults.notebooks", number)
            if first.returncode == 0:
                figure.at_once.append(number)
                continue
            connections.on = False
            second = python(its, "tests.faults.notebooks", number)
            said = CLEAR.findall(first.stdout)
            if second.returncode == 0 and said and "Traceback" not in first.stdout + first.stderr:
                figure.second.append(f"{number}: {said[-1]}")
            else:
                figure.failures.append(
                    f"{number}: {first.stdout[-2000:]}{first.stderr[-500:]}\n{second.stdout[-1000:]}"
                )
    connections.close()
    return figure


def main(seeds: list[int]) -> None:
    failed = 0
    with fresh_lab(NAME) as environment:
        before = in_the_clouds(environment)
        for seed, (name, fault) in itertools.product(seeds or [1, 2], FAULTS.items()):
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                connections = Connections(fault, seed)
                figure = run(connections, environment, Path(folder))
                cleaned = clean_up(environment, Path(folder))
            left = in_the_clouds(environment) - before
            print(
                f"{name:<8} {connections.broken} of {connections.made} connections to API servers: {figure}"
            )
            print(f"    {len(left)} left, {time.monotonic() - start:.0f} s", flush=True)
            for failure in figure.failures:
                print(f"  NOT CLEAR OR NOT COMPLETED: {failure}", flush=True)
            failed += len(figure.failures) + len(left) + cleaned.returncode
    sys.exit(bool(failed))


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
