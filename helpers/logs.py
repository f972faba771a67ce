"""One request, found again in the logs on its way, by the traceparent that curl sent."""

import json
from dataclasses import dataclass
from typing import Any

from helpers import command, function, kube, show
from helpers.progress import until

# context, namespace, workload, and its name in a table
HOPS = (
    ("gke", "sleep", "deploy/sleep", "sleep's sidecar (GKE)"),
    ("gke", "istio-egress", "deploy/istio-egressgateway", "egress gateway (GKE)"),
    ("eks", "istio-ingress", "deploy/istio-ingressgateway", "ingress gateway (EKS)"),
)
_COLUMNS = {"status": "status", "downstream_tls": "TLS in", "downstream_subject": "client showed"} | {
    "upstream_tls": "TLS out",
    "upstream_subject": "server showed",
}


@dataclass
class Hop:
    """One place on the way and what its log says about the request."""

    where: str
    entry: dict[str, Any]


def envoy(
    context: str,
    namespace: str,
    target: str,
    traceparent: str,
    container: str = "istio-proxy",
    limit: float = 45,
) -> dict[str, Any]:
    """The access-log entry of that request in an Envoy.

    Waits up to `limit` seconds, since an Envoy writes its log up to 10 seconds late; raises TimedOut.
    """

    def probe() -> dict[str, Any]:
        lines = kube.logs(context, namespace, target, container).splitlines()
        return next((_entry(line) for line in reversed(lines) if traceparent in line), {})

    command.show(
        f"kubectl --context {context} logs -n {namespace} {target} -c {container} | grep {traceparent}"
    )
    return until(
        f"the request in the log of {target}",
        probe,
        bool,
        limit=limit,
        state=lambda _: "not there yet",
        try_="look whether the request took this way, and whether access logs are on (meshConfig).",
    )


def follow(traceparent: str) -> list[Hop]:
    """The request in all three Envoys and in the function's log group, in the order of its way."""
    hops = [
        Hop(where, envoy(context, namespace, target, traceparent))
        for context, namespace, target, where in HOPS
    ]
    line = function.log_lines(traceparent)[-1]
    return [*hops, Hop("function (Lambda)", _entry(line))]


def table(hops: list[Hop]) -> show.Table:
    """The hops with status and TLS as each of them saw it."""
    rows = []
    for hop in hops:
        values = {title: hop.entry.get(key) for key, title in _COLUMNS.items()}
        empty = (None, "-", "")
        rows.append({"where": hop.where, **{k: "" if v in empty else v for k, v in values.items()}})
    return show.table(rows)


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line[line.index("{") :])
    except ValueError:
        return {"line": line}
    return entry if isinstance(entry, dict) else {"line": line}
