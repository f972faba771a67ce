"""Ephemeral containers: programs beside those of a running pod, in its network.

https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

import json
from typing import TYPE_CHECKING, Any

from helpers.base import changes, command
from helpers.base.waiting import wait_until
from helpers.clusters import client, kubectl, manifests, pods

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

# Packets can be captured only as root. A gateway's pod runs as another user, which this overrides.
_AS_ROOT = {
    "securityContext": {
        "runAsUser": 0,
        "runAsNonRoot": False,
        "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]},
    }
}
_RUNS = ["sleep", "infinity"]


def attach(context: str, namespace: str, target: str, image: str, name: str) -> None:
    """Add a container of that name to a pod, if it has none, and wait until it runs.

    It cannot be removed from the pod; it ends with it. Raises ApiError, TimedOutError.
    """
    pod = client.call(context, f"the pod of {target}", lambda api: pods.of(api, namespace, target))
    custom = manifests.write_text("as-root.json", context, json.dumps(_AS_ROOT, indent=2))
    words = ("-n", namespace, "debug", f"pod/{pod.metadata.name}", f"--image={image}", f"--container={name}")
    line = kubectl.line(
        context, *words, "--profile=netadmin", f"--custom={command.relative(custom)}", "--", *_RUNS
    )
    if not _state(pod, name):
        changes.begin(line)
        added = {"name": name, "image": image, "command": _RUNS, **_AS_ROOT}
        client.call(context, line, lambda api: _add(api, pod, added))
        command.show_change(line)
    wait_until(
        f"the container {name} beside {target}",
        lambda: client.call(context, line, lambda api: _state(pods.of(api, namespace, target), name)),
        lambda state: state == "running",
        timeout=120,
        state=lambda state: state or "missing",
    )


def _add(api: "Client", pod: Any, container: dict[str, Any]) -> None:
    body = {"spec": {"ephemeralContainers": [container]}}
    path = f"{pods.path(pod)}/ephemeralcontainers"
    api.request("patch", path, body=body, content_type="application/strategic-merge-patch+json")


def _state(pod: Any, name: str) -> str:
    """ "running", "waiting", "terminated", or "" if there is no such container."""
    for each in pod.status.ephemeralContainerStatuses or ():
        if each.name == name:
            return next((kind for kind in ("running", "terminated") if each.state[kind]), "waiting")
    return ""
