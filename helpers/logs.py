"""One request, found again in an Envoy's log by the traceparent that curl sent."""

import json
from typing import Any

from helpers.base import command
from helpers.base.waiting import wait_until
from helpers.clusters import pods


def envoy(
    context: str,
    namespace: str,
    target: str,
    traceparent: str,
    container: str = "istio-proxy",
    timeout: float = 45,
) -> dict[str, Any]:
    """The access-log entry of that request in an Envoy.

    Waits up to `timeout` seconds, since an Envoy writes its log up to 10 seconds late; raises TimedOutError.
    """

    def probe() -> dict[str, Any]:
        lines = pods.logs(context, namespace, target, container).splitlines()
        return next((_entry(line) for line in reversed(lines) if traceparent in line), {})

    command.show(
        f"kubectl --context {context} logs -n {namespace} {target} -c {container} | grep {traceparent}"
    )
    return wait_until(
        f"the request in the log of {target}",
        probe,
        bool,
        timeout=timeout,
        event=True,
        state=lambda _: "not there yet",
        hint="look whether the request took this way, and whether access logs are on (meshConfig).",
    )


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line[line.index("{") :])
    except ValueError:
        return {"line": line}
    return entry if isinstance(entry, dict) else {"line": line}
