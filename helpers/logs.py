"""Requests, found in an Envoy's log by the traceparent that curl sent."""

import json
from typing import Any

from helpers.base import command
from helpers.base.waiting import wait_until
from helpers.clusters import kubectl, pods


def envoy(
    context: str,
    namespace: str,
    target: str,
    traceparent: str,
    container: str = "istio-proxy",
    timeout: float = 45,
) -> dict[str, Any]:
    """The access-log entry of that request in an Envoy.

    Waits up to `timeout` seconds, because Envoy writes its log once a second; raises TimedOutError.
    """

    def probe() -> dict[str, Any]:
        lines = pods.logs(context, namespace, target, container).splitlines()
        return next((_entry(line) for line in reversed(lines) if traceparent in line), {})

    command.show(_search(context, namespace, target, traceparent, container=container))
    return wait_until(
        f"the request in the log of {target}",
        probe,
        bool,
        timeout=timeout,
        event=True,
        state=lambda _: "not in the log yet",
        hint="check that the request took this path, and that access logs are on (meshConfig).",
    )


def envoy_all(
    context: str, namespace: str, target: str, count: int, *texts: str, timeout: float = 45
) -> list[dict[str, Any]]:
    """Like `envoy`, for texts such as a trace ID that several requests share: all, once there are `count`."""

    def probe() -> list[dict[str, Any]]:
        lines = pods.logs(context, namespace, target, "istio-proxy").splitlines()
        return [_entry(line) for line in lines if any(text in line for text in texts)]

    command.show(_search(context, namespace, target, *texts))
    return wait_until(
        f"{count} requests in the log of {target}",
        probe,
        lambda found: len(found) >= count,
        timeout=timeout,
        event=True,
        state=lambda found: f"{len(found)} so far",
    )


def show_field(
    context: str, namespace: str, target: str, traceparent: str, entry: dict[str, Any], name: str
) -> None:
    """Print the command that finds one field of that entry, and the field."""
    field = command.shell_join(["grep", "-o", f'"{name}":"[^"]*"'])
    found = f'"{name}":"{entry[name]}"' if isinstance(entry.get(name), str) else ""
    command.show_change(f"{_search(context, namespace, target, traceparent)} | {field}", found)


def _search(context: str, namespace: str, target: str, *texts: str, container: str = "istio-proxy") -> str:
    read = command.shell_join(kubectl.for_pod(context, "logs", namespace, target, container))
    [first, *more] = texts
    patterns = [word for text in texts for word in ("-e", text)] if more else [first]
    return f"{read} | {command.shell_join(['grep', *patterns])}"


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line[line.index("{") :])
    except ValueError:
        return {"line": line}
    return entry if isinstance(entry, dict) else {"line": line}
