"""The path of one request, from the logs of every hop.

Where it stopped is determined from evidence: an Envoy logs whether a response came from the next hop
(%RESPONSE_CODE_DETAILS% is via_upstream) or was its own, the load balancer whether its target answered;
before the first log there is curl's result. So no log is searched that cannot contain the request.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from helpers import function, logs
from helpers.aws import alb_log
from helpers.base.errors import TimedOutError, TutorialError
from helpers.base.settings import current
from helpers.curl import CurlResult, Pod
from helpers.pictures import explain, hop
from helpers.pictures.hop import Hop
from helpers.pictures.request_path import RequestPath
from helpers.proxies import EGRESS, INGRESS

T = TypeVar("T")
_FLUSH = 12.0  # seconds; an Envoy writes its log every 10
_SOON = 45.0  # seconds within which an Envoy's line, and the function's, is in its log
_EDGE = "edge of the VPC"


class Search(NamedTuple):
    """How to search a log for the request.

    `timeout` is in seconds, 0 searches once. If `expected`, the request did get there, so a missing entry
    is late; otherwise it may have stopped before.
    """

    timeout: float
    expected: bool = False


@dataclass(frozen=True)
class Missing:
    """No entry was found, with the reason."""

    reason: str


Stop = Callable[[CurlResult, Hop, Search | None], Hop]  # the hop that called it; None: no log is searched
_UNMARKED = Missing("the request had no traceparent to search its log for")


def request(result: CurlResult, timeout: float = 600) -> RequestPath:
    """The path of this result's request, displayed as a picture.

    Waits up to `timeout` seconds for the load balancer's log, which AWS delivers every five minutes, and less
    for the others. A late log is reported as late.
    """
    hops = [_curl(result)]
    for stop in _stops(result):
        caller = hops[0] if hops[-1].name == _EDGE else hops[-1]
        hops.append(stop(result, caller, _search(hops, result, timeout)))
    if hops[0].state == "passed" and not result.status and all(one.state == "never" for one in hops[1:]):
        hops[1] = _refused_unlogged(hops[1], result)
    return RequestPath(hops, result.url)


def _stops(result: CurlResult) -> list[Stop]:
    """The hops of the path, depending on where curl ran and which name it requested."""
    behind: list[Stop] = [_balancer, _function]
    if urlsplit(result.url).hostname == current().alb_host:
        return [_edge, *behind] if result.origin == "outside" else behind
    behind = [partial(_envoy, "ingress gateway", "EKS", INGRESS), *behind]
    if not isinstance(result.origin, Pod):
        return behind
    return [
        partial(_envoy, "sidecar", "GKE", result.origin),
        partial(_envoy, "egress gateway", "GKE", EGRESS),
        *behind,
    ]


def _search(hops: list[Hop], result: CurlResult, timeout: float) -> Search | None:
    """How to search the next log; None if it cannot contain the request."""
    last = next((one for one in reversed(hops) if one.state != "unknown"), hops[0])
    if last.state == "never" or (last is hops[0] and last.state == "refused"):
        return None
    if last.state == "refused":
        return Search(_FLUSH if explain.may_have_been_sent(str(last.entry.get("flags", ""))) else 0)
    if result.status:
        return Search(timeout, expected=True)
    return Search(_FLUSH if isinstance(result.origin, Pod) and result.remote else 0)


def _curl(result: CurlResult) -> Hop:
    """The first hop; its entry has curl's result under the field names of an Envoy log."""
    http = f"HTTP/{result.http_version}" if result.status else ""
    own = explain.is_curls_own(result.exit_code) or _strayed(result)
    return Hop(
        "curl",
        "GKE" if isinstance(result.origin, Pod) else result.origin,
        "refused" if own else "passed",
        f"{http} {result.status}" if http else f"exit code {result.exit_code}",
        _in_words(result) if own else "",
        result.seconds,
        entry={
            "url": result.url,
            "upstream": result.remote,
            "upstream_local": result.local,
            "upstream_protocol": http,
            "upstream_tls": result.said(r"SSL connection using (TLS\S+)"),
            "upstream_subject": result.said(r"subject: (.+)"),
        },
    )


def _in_words(result: CurlResult) -> str:
    words = explain.curl(result.exit_code, result.error, result.url.startswith("https:"))
    return f"{explain.STRAYED}: {words}" if _strayed(result) else words


def _strayed(result: CurlResult) -> bool:
    """Whether another host answered, because the caller's network uses the VPC's addresses."""
    private = result.origin == "outside" and urlsplit(result.url).hostname == current().alb_host
    return private and result.strayed


def _refused_unlogged(first: Hop, result: CurlResult) -> Hop:
    """No log has a connection that ends before HTTP begins: only curl's result is known."""
    client = ""
    if result.url.startswith("https:") and first.name != _EDGE:
        given = next((file for word, file in pairwise(result.args) if word in ("--cert", "-E")), "")
        client = f"the certificate in {Path(given).name}" if given else "no certificate"
    status = "no response" if result.exit_code == 28 else ""
    return replace(first, state="refused", why=_in_words(result), status=status, client=client)


def _edge(result: CurlResult, caller: Hop, search: Search | None) -> Hop:
    tried = ", ".join(dict.fromkeys(result.trying))
    return Hop(_EDGE, "AWS", "passed" if result.status else "never", called=tried)


def _envoy(name: str, where: str, at: Pod, result: CurlResult, caller: Hop, search: Search | None) -> Hop:
    reached = hop.called(name, where, caller.entry)
    if search is None:
        return reached
    trace, timeout = result.traceparent, min(search.timeout, _SOON)
    entry = _found(lambda: logs.envoy(*at, trace, timeout=timeout)) if trace else _UNMARKED
    if isinstance(entry, Missing):
        return _missing(reached, entry, search)
    if at == INGRESS:  # a search by hand needs the address from which the load balancer was called
        logs.show_field(*at, trace, entry, "upstream_local")
    return hop.envoy(reached, entry)


def _balancer(result: CurlResult, caller: Hop, search: Search | None) -> Hop:
    reached = hop.called("load balancer", "VPC", caller.entry)
    if search is None:
        return reached
    client, since = caller.entry.get("upstream_local"), caller.entry.get("start")
    if not client:
        return _missing(reached, Missing("the caller's address is unknown"), search)
    start = datetime.fromisoformat(since) if since else None
    host = current().alb_host if caller.name == "curl" else ""
    entry = _found(lambda: alb_log.entry(client, search.timeout, since=start, host=host))
    if isinstance(entry, Missing):
        return _missing(reached, Missing(f"{entry.reason}; AWS delivers it every five minutes"), search)
    return hop.load_balancer(reached, entry)


def _function(result: CurlResult, caller: Hop, search: Search | None) -> Hop:
    if search is None:
        return Hop("function", "AWS")
    reached, trace = hop.function(caller.entry), result.traceparent
    timeout = min(search.timeout, _SOON)
    lines = _found(lambda: function.log_lines(trace, timeout=timeout)) if trace else _UNMARKED
    if not isinstance(lines, Missing):
        return hop.function_log(reached, lines[-1])
    return reached if reached.status else _missing(reached, lines, search)


def _found(look: Callable[[], T]) -> T | Missing:
    try:
        return look()
    except TimedOutError:
        return Missing("not in its log yet")
    except TutorialError as error:
        return Missing(str(error).splitlines()[0])


def _missing(reached: Hop, entry: Missing, search: Search) -> Hop:
    return replace(reached, state="unknown", why=entry.reason) if search.expected else reached
