"""Callers with different identities, and the answers that each of them gets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from helpers import curl, logs
from helpers.base import folding
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.curl import CurlResult, Pod
from helpers.proxies import EGRESS, INGRESS

FUNCTION = "GET /hello-world"
_CLOSED = "closed"  # no HTTP answer


@dataclass(frozen=True)
class Caller:
    """`run` is curl from where the caller is; `identity` are the arguments that identify it."""

    name: str
    run: Callable[..., CurlResult]
    url: str
    identity: tuple[str | Path, ...] = ()

    def ask(self, request: str = FUNCTION, *more: str) -> CurlResult:
        """The answer to a request such as "GET /hello-world", by a curl and a connection of its own."""
        method, _, path = request.partition(" ")
        how = {"GET": [], "HEAD": ["--head"]}.get(method, ["--request", method])
        quiet = ["-so", "/dev/null", "-w", r"%{http_code}\n", "--path-as-is"]
        return self.run(*quiet, *how, *self.identity, *more, self.url + path)


def in_pod(
    name: str,
    target: str,
    url: str,
    *more: str,
    container: str | None = None,
    at: tuple[str, str] = ("gke", "sleep"),
) -> Caller:
    """A pod, such as "deploy/sleep", in a cluster and a namespace of it."""
    return Caller(name, partial(curl.in_pod, *at, target, container=container), url, more)


SLEEP = in_pod("sleep", "deploy/sleep", "http://lambda.external", container="sleep")


def with_certificate(name: str, pair: tuple[Path, Path], url: str, *more: str | Path) -> Caller:
    """A client outside the VPC that presents this certificate; the pair is the certificate and its key."""
    return Caller(name, curl.outside, url, (*more, "--cert", pair[0], "--key", pair[1]))


class Statuses(list[int]):
    """0 for none, in the order of the requests. They were already printed, so a notebook displays nothing."""

    def _ipython_display_(self) -> None: ...


def settle(caller: Caller, status: int, times: int = 10, timeout: float = 90) -> Statuses:
    """Throw-away requests until the answer was `status` (0 for none) so many times in a row; all answers.

    An Envoy closes the connections that it has when a policy changes, but only after one more request, which
    still follows the old policy. Raises TimedOutError after `timeout` seconds.
    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/draining
    """
    answers = Statuses()

    def probe() -> Statuses:
        answers.append(caller.ask().status)
        return answers

    with folding.unseen() as texts:
        wait_until(
            f"{times} answers {status} to {caller.name}",
            probe,
            lambda found: found[-times:] == [status] * times,
            timeout=timeout,
            interval=0.1,
            state=lambda found: str(found[-1]),
        )
    folding.show(texts[-1])
    print(f"{caller.name}, responses in order:", *(_word(answer) for answer in answers))
    return answers


@folding.step()
def statuses(callers: Sequence[Caller], request: str = FUNCTION) -> list[str]:
    """What each caller is answered, asked twice: the first answer is thrown away."""
    return [_word([caller.ask(request) for _ in range(2)][1].status) for caller in callers]


@dataclass(frozen=True)
class Answers:
    """The answers to each request of each caller. All requests have the same trace ID."""

    trace: str
    callers: Sequence[Caller]
    rows: dict[str, list[CurlResult]]  # by request

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()

    def _table(self) -> Table:
        rows = [[request, *(_word(one.status) for one in row)] for request, row in self.rows.items()]
        return Table(["request", *(caller.name for caller in self.callers)], rows)

    def allowed(self, name: str) -> list[str]:
        """The requests of that caller that got the function's page."""
        column = [caller.name for caller in self.callers].index(name)
        return [request for request, row in self.rows.items() if row[column].ok]

    def reasons(self) -> Table:
        """What both gateways logged of all these requests: who sent them, what was decided, how many.

        A connection that a gateway closed before any HTTP has no trace ID in its log. It is found by its
        address and port, if it came from a pod without a sidecar.
        """
        asked = [one for row in self.rows.values() for one in row if one.status or one.local]
        inside = [one for one in asked if isinstance(one.origin, Pod)]
        closed = [f'"{one.local}"' for one in inside if not one.status]
        passed = sum(one.ok if isinstance(one.origin, Pod) else one.status > 0 for one in asked)
        entries = {
            "egress": logs.envoy_all(*EGRESS, len(inside), self.trace, *closed),
            "ingress": logs.envoy_all(*INGRESS, passed, self.trace),
        }
        rows = [
            (gateway, _certificate(entry), entry["status"], entry["details"])
            for gateway, found in entries.items()
            for entry in found
        ]
        counted = [(*row, len([*same])) for row, same in groupby(sorted(rows, key=str))]
        return Table(["gateway", "client certificate", "status", "details", "requests"], counted)


@folding.step()
def ask_all(callers: Sequence[Caller], requests: Sequence[str] = (FUNCTION,)) -> Answers:
    """Every request of every caller, once."""
    _, trace, *_ = curl.traceparent().split("-")

    def header() -> str:
        _, _, parent, flags = curl.traceparent().split("-")
        return f"traceparent: 00-{trace}-{parent}-{flags}"

    rows = {request: [caller.ask(request, "-H", header()) for caller in callers] for request in requests}
    return Answers(trace, callers, rows)


def _certificate(entry: dict[str, Any]) -> str:
    """The names in the client's certificate, as an Envoy logged them."""
    return str(entry["downstream_uri_san"] or entry["downstream_dns_san"] or "none")


def _word(status: int) -> str:
    return str(status) if status else _CLOSED
