"""Many requests from `sleep` by one curl: how many per second, how long they take, and what proxies use."""

import shlex
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

from helpers import curl, logs
from helpers.base import command, folding
from helpers.base.tables import Table
from helpers.clusters import pods
from helpers.curl import Pod
from helpers.pictures import plots
from helpers.pictures.figures import Plot
from helpers.pictures.plots import bars
from helpers.proxies import PATH, SIDECAR

__all__ = ["Run", "bars", "lines", "proxies", "ramp", "run", "table", "where"]

_CONTAINER = "sleep"
_MOST, _LONGEST = 32, 20  # connections at once; seconds after which a curl is ended
_TICKS = 100  # per second, in /proc/<pid>/stat: https://www.kernel.org/doc/html/latest/filesystems/proc.html
CONNECTIONS = (1, 2, 4, 8, 12, 16, 32)


class Run(NamedTuple):
    """What one curl got: its seconds, the status of each response, and how many seconds each took.

    `processor` is the CPU time that curl itself used, in seconds.
    """

    seconds: float
    statuses: Counter[int]
    times: list[float]
    processor: float

    @property
    def rate(self) -> float:
        """Responses with 200 per second."""
        return self.statuses[200] / max(self.seconds, 0.01)  # that clock's resolution

    @property
    def median(self) -> float:
        """Milliseconds for a request; half of them took longer."""
        return 1000 * median(self.times)


def run(requests: int, connections: int = 1, path: str = "/hello-world", *more: str) -> Run:
    """Send so many requests from `sleep`, over up to `connections` connections at once (32 at most).

    curl is ended after 20 seconds; the result has the responses until then.
    """
    url = f"http://lambda.external{path}?[1-{requests}]"
    at_once = ["--parallel", "--parallel-immediate", "--parallel-max", str(min(connections, _MOST))]
    words = ["timeout", str(_LONGEST), "curl", "-s", *(at_once if connections > 1 else []), *more]
    line = shlex.join([*words, "-o", "/dev/null", "-w", r"%{http_code} %{time_total} s\n", url])
    clock = r'read now _ </proc/uptime; printf "\nnow %s\n" $now'  # the line that was written last may be cut
    script = f"{clock}; {line}; {clock}; cat /proc/$$/stat"
    done = pods.execute(*SIDECAR, ["sh", "-c", script], container=_CONTAINER, timeout=_LONGEST + 60)
    command.show(command.shell_join(pods.exec_words(*SIDECAR, _CONTAINER)) + f" {line}")
    printed = done.stdout.decode().splitlines()
    rows = [each.split() for each in printed]
    begin, end = (float(row[1]) for row in rows if row[:1] == ["now"])
    answers = [(int(row[0]), float(row[1])) for row in rows if row[2:] == ["s"]]
    [own] = (fields for fields in map(_stat, printed) if fields)
    processor = (int(own[13]) + int(own[14])) / _TICKS  # of the programs that this shell ran
    statuses = Counter(status for status, _ in answers)
    return Run(end - begin, statuses, [took for _, took in answers], processor)


@folding.step()
def ramp(requests: int, path: str = "/hello-world") -> dict[int, Run]:
    """A run for each number of clients."""
    return {connections: run(requests, connections, path) for connections in CONNECTIONS}


@folding.step()
def where(requests: int = 50) -> dict[str, float]:
    """Milliseconds that a request spends on each part of its way, the median of so many."""
    parent = curl.traceparent()
    run(requests, 1, "/hello-world", "-H", f"traceparent: {parent}")
    took = []
    for proxy in PATH.values():
        entries = logs.envoy_all(*proxy, requests, parent.split("-")[1])
        took.append(median(float(entry["microseconds"]) / 1000 for entry in entries))
    sidecar, egress, ingress = took
    return {
        "sidecar to egress gateway": sidecar - egress,
        "egress to ingress gateway": egress - ingress,
        "load balancer and function": ingress,
    }


@folding.step()
def proxies(requests: int, connections: int, path: str = "/hello-world") -> Table:
    """CPU time that curl and each Envoy use for a request, and the share of a core while they are sent.

    The last row is the share of all cores that all programs on the node of `sleep` use meanwhile.
    """
    before, (busy, whole) = {name: _processor(proxy) for name, proxy in PATH.items()}, _node()
    done = run(requests, connections, path)
    busy_then, whole_then = _node()
    used = {"curl": done.processor} | {name: _processor(proxy) - before[name] for name, proxy in PATH.items()}
    rows = []
    for name, seconds in used.items():
        each, share = seconds / max(done.statuses.total(), 1), seconds / max(done.seconds, 0.01)
        rows.append((name, f"{1000 * each:.2f} ms", f"{100 * share:.0f}% of one core"))
    share = 100 * (busy_then - busy) / max(whole_then - whole, 1)
    rows.append(("everything on the node that runs sleep", "", f"{share:.0f}% of all cores"))
    return Table(("what", "CPU time per request", "used"), rows)


def _node() -> tuple[int, int]:
    """Ticks that all cores of the node of `sleep` were busy, and all of them."""
    argv = ["head", "-1", "/proc/stat"]
    line = pods.execute(*SIDECAR, argv, container=_CONTAINER).stdout.decode()
    command.show(command.shell_join([*pods.exec_words(*SIDECAR, _CONTAINER), *argv]))
    user, nice, system, idle, waiting, *rest = (int(word) for word in line.split()[1:9])
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + waiting


def _processor(proxy: Pod) -> float:
    """Seconds of CPU time that an Envoy has used."""
    argv = ["sh", "-c", "cat /proc/[0-9]*/stat"]
    lines = pods.execute(*proxy, argv, container="istio-proxy").stdout.decode().splitlines()
    command.show(command.shell_join([*pods.exec_words(*proxy, "istio-proxy"), *argv]) + " | grep '(envoy)'")
    found = [_stat(line) for line in lines if "(envoy)" in line]
    return sum(int(fields[11]) + int(fields[12]) for fields in found) / _TICKS


def _stat(line: str) -> list[str]:
    """The fields after the program's name in a line of /proc/<pid>/stat; [] for other lines."""
    return line.rpartition(") ")[2].split() if ") " in line else []


def table(runs: Mapping[int, Run]) -> Table:
    """A row for each number of clients."""
    rows = [
        (connections, f"{one.rate:.0f} /s", f"{one.median:.1f} ms", _others(one.statuses))
        for connections, one in runs.items()
    ]
    return Table(("clients", "200", "median", "other responses"), rows)


def _others(statuses: Counter[int]) -> str:
    return ", ".join(
        f"{status}, {count} times" for status, count in sorted(statuses.items()) if status != 200
    )


def lines(title: str, series: Mapping[str, Mapping[int, Run]]) -> Plot:
    """Responses with 200 per second by the number of clients, a line for each series."""
    values = {name: {at: one.rate for at, one in runs.items()} for name, runs in series.items()}
    return plots.lines(title, values, "clients", "requests/s")
