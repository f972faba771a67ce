"""AuthorizationPolicies: put one in force, compare several."""

from collections.abc import Mapping, Sequence

import yaml

from helpers import callers, istio, kube
from helpers.base import folding
from helpers.callers import Caller
from helpers.clusters import manifests

KIND = "authorizationpolicy"


def only(context: str, workload: str, path: str, **values: object) -> None:
    """Apply a policy, delete the others of its namespace, and wait until the workload's Envoy has just this.

    In this order the workload is never without a policy. Raises ApiError, TimedOutError.
    """
    made = yaml.safe_load(manifests.render(path, **values))["metadata"]
    name, namespace = made["name"], made["namespace"]
    kube.apply(context, path, **values)
    for other in kube.get(context, KIND, namespace):
        if other.metadata.name != name:
            kube.delete(context, namespace, f"{KIND}/{other.metadata.name}")
    istio.policies(context, workload, f"{name}.{namespace}")


@folding.step()
def compare(
    context: str, workload: str, path: str, rules: Mapping[str, str], clients: Sequence[Caller]
) -> dict[str, list[str]]:
    """What each client is answered under each rule alone; the manifest has a ${NAME} and a ${RULE}."""
    found = {}
    for name, rule in rules.items():
        only(context, workload, path, NAME=name, RULE=rule)
        found[name] = callers.statuses(clients)
    return found


def delete_all(context: str, *namespaces: str) -> None:
    """Delete every AuthorizationPolicy of these namespaces."""
    for namespace in namespaces:
        for each in kube.get(context, KIND, namespace):
            kube.delete(context, namespace, f"{KIND}/{each.metadata.name}")
