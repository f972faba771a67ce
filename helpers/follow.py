"""The way of one request, from the logs of everything that it passed.

Where it stopped is decided from evidence: an Envoy says whether an answer came from the next hop
(%RESPONSE_CODE_DETAILS% is via_upstream) or was its own, the load balancer whether its target answered;
before the first log there is what curl saw. So nobody waits for a log in which the request cannot be.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers import function, logs
from helpers.aws import alb_log
from helpers.base.errors import TimedOutError, TutorialError
from helpers.base.settings import current
from helpers.curl import CurlResult
from helpers.pictures import explain, hop
from helpers.pictures.hop import Hop
from helpers.pictures.request_path import RequestPath

Stop = Callable[[CurlResult, Hop, float], Hop]  # the answer, the hop before, and how long to wait for the log
_FLUSH = 12.0  # seconds; an Envoy writes its log every 10
_SOON = 45.0  # within which an Envoy's line, and the function's, is in its log
_EGRESS = ("gke", "istio-egress", "deploy/istio-egressgateway")
_INGRESS = ("eks", "istio-ingress", "deploy/istio-ingressgateway")


def request(answer: CurlResult, timeout: float = 600) -> RequestPath:
    """The way of the request that this answer is for; shown as a picture.

    Waits up to `timeout` seconds for the load balancer's log, which AWS delivers every five minutes, and less
    for the others. A log that is late is said to be.
    """
    first = _curl(answer)
    hops = [first]
    for stop in _stops(answer):
        before, patience = hops[-1], _patience(hops, answer, timeout)
        found = stop(answer, before, patience)
        if found.state == "unknown" and patience < timeout:
            found.state = "never"
        hops.append(found)
    if first.state == "passed" and not answer.status and all(one.state == "never" for one in hops[1:]):
        _refused_by(hops[1], answer)
    return RequestPath(hops, answer.url)


def _stops(answer: CurlResult) -> list[Stop]:
    """What is on the way, by where curl ran and which name it asked for."""
    to_balancer = urlsplit(answer.url).hostname == current().alb_host
    behind: list[Stop] = [_balancer, _function]
    if to_balancer:
        return behind if answer.inside or answer.pod else [_edge, *behind]
    behind = [partial(_envoy, "ingress gateway", "EKS", _INGRESS), *behind]
    if not answer.pod:
        return behind
    return [
        partial(_envoy, "sidecar", "GKE", answer.pod),
        partial(_envoy, "egress gateway", "GKE", _EGRESS),
        *behind,
    ]


def _patience(hops: list[Hop], answer: CurlResult, timeout: float) -> float:
    """How long to wait for the next log: as long as the request must be in it, else for one look, or none."""
    last = next((one for one in reversed(hops) if one.state != "unknown"), hops[0])
    if last.state == "never" or (last is hops[0] and last.state == "refused"):
        return -1
    if last.state == "refused":
        return _FLUSH if explain.may_have_been_sent(str(last.entry.get("flags", ""))) else 0
    if answer.status:
        return timeout
    return _FLUSH if answer.pod and answer.remote else 0


def _curl(answer: CurlResult) -> Hop:
    where = "outside" if not (answer.inside or answer.pod) else "VPC" if answer.inside else "GKE"
    status = (
        f"HTTP/{answer.http_version} {answer.status}" if answer.status else f"exit code {answer.exit_code}"
    )
    seen = Hop("curl", where, "passed", status, seconds=answer.seconds, entry={"url": answer.url})
    if explain.is_curls_own(answer.exit_code):
        seen.state, seen.why = "refused", _in_words(answer)
    return seen


def _in_words(answer: CurlResult) -> str:
    return explain.curl(answer.exit_code, answer.error, answer.url.startswith("https:"))


def _refused_by(first: Hop, answer: CurlResult) -> None:
    """Nothing logs a connection that ends before HTTP begins: what curl saw is all there is."""
    first.state, first.why = "refused", _in_words(answer)
    first.status = "no answer" if answer.exit_code == 28 else ""
    if answer.url.startswith("https:") and first.name != "edge of the VPC":
        given = next((file for word, file in pairwise(answer.words) if word in ("--cert", "-E")), "")
        first.client = f"the certificate in {Path(given).name}" if given else "no certificate"


def _late(error: TutorialError) -> str:
    return "not in its log yet" if isinstance(error, TimedOutError) else str(error).splitlines()[0]


def _edge(answer: CurlResult, before: Hop, patience: float) -> Hop:
    tried = ", ".join(dict.fromkeys(answer.trying))
    return Hop("edge of the VPC", "AWS", "passed" if answer.status else "never", called=tried)


def _envoy(
    name: str, where: str, at: tuple[str, str, str], answer: CurlResult, before: Hop, patience: float
) -> Hop:
    found = _called(Hop(name, where), answer, before)
    if patience < 0:
        return found
    if not answer.traceparent:
        found.state, found.why = "unknown", "the request had no traceparent by which a log could be searched"
        return found
    try:
        entry = logs.envoy(*at, answer.traceparent, timeout=min(patience, _SOON))
    except TutorialError as error:
        found.state, found.why = "unknown", _late(error)
        return found
    own = {key: "" if value in (None, "-") else value for key, value in entry.items()}
    return _read(found, own)


def _read(found: Hop, entry: dict[str, Any]) -> Hop:
    """What an Envoy's log says of the request."""
    passed = entry.get("details") == "via_upstream"
    found.entry, found.state = entry, "passed" if passed else "refused"
    found.status = str(entry.get("status", ""))
    found.seconds = int(entry["microseconds"]) / 1e6 if entry.get("microseconds") else None
    found.address, found.protocol = str(entry.get("downstream_local", "")), str(entry.get("protocol", ""))
    found.tls = str(entry.get("downstream_tls", ""))
    found.client = hop.certificate(entry, "downstream")
    if not passed:
        said = (str(entry.get(key, "")) for key in ("flags", "details", "upstream_failure"))
        found.why = explain.envoy(*said)
    return found


def _called(found: Hop, answer: CurlResult, before: Hop) -> Hop:
    """How the hop before called this one."""
    if before.name == "curl":
        found.called = answer.remote
        found.tls = answer.said(r"SSL connection using (TLS\S+)")
        found.server = answer.said(r"subject: (.+)")
        found.protocol = f"HTTP/{answer.http_version}" if answer.status else ""
    elif before.entry:
        found.called = str(before.entry.get("upstream", ""))
        found.tls = str(before.entry.get("upstream_tls", ""))
        found.protocol = str(before.entry.get("upstream_protocol", ""))
        found.server = hop.certificate(before.entry, "upstream")
    return found


def _balancer(answer: CurlResult, before: Hop, patience: float) -> Hop:
    direct = before.name in ("curl", "edge of the VPC")
    found = _called(Hop("load balancer", "VPC"), answer, before if not direct else Hop("curl", ""))
    client = answer.local if direct else before.entry.get("upstream_local", "")
    if patience < 0:
        return found
    since = before.entry.get("start")
    try:
        if not client:
            raise TutorialError("", "nobody says from which address it was called")
        entry = alb_log.entry(client, patience, since=datetime.fromisoformat(since) if since else None)
    except TutorialError as error:
        found.state, found.why = "unknown", f"{_late(error)}; AWS delivers it every five minutes"
        return found
    times = [float(entry[f"{part}_processing_time"]) for part in ("request", "target", "response")]
    found.entry, found.status = dict(entry), entry["elb_status_code"]
    found.protocol = entry["request"].split()[-1].replace("HTTP/2.0", "HTTP/2")
    found.tls = entry["ssl_protocol"].replace("-", "")
    found.seconds = sum(time for time in times if time > 0)
    found.state = "passed" if entry["target_status_code"].isdigit() else "refused"
    if found.state == "refused":
        found.why = explain.balancer(entry["error_reason"])
    return found


def _function(answer: CurlResult, before: Hop, patience: float) -> Hop:
    found = Hop("function", "AWS", protocol="AWS's own call" if patience >= 0 else "")
    if patience < 0:
        return found
    entry = before.entry
    if entry.get("target_status_code", "-").isdigit():
        found.status, found.seconds = entry["target_status_code"], float(entry["target_processing_time"])
        found.state = "passed" if int(found.status) < 400 else "refused"
        found.why = "" if found.state == "passed" else "the function's own answer"
    if not answer.traceparent:
        if not found.status:
            found.state, found.why = (
                "unknown",
                "the request had no traceparent by which its log could be searched",
            )
        return found
    try:
        found.entry = {"line": function.log_lines(answer.traceparent, timeout=min(patience, _SOON))[-1]}
        found.state = "passed" if found.state == "never" else found.state
    except TutorialError as error:
        if not found.status:
            found.state, found.why = "unknown", _late(error)
    return found
