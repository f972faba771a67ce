"""AuthorizationPolicies: compare several, delete them."""

from collections.abc import Mapping, Sequence

import yaml

from helpers import callers, istio, kube
from helpers.base import folding
from helpers.callers import Caller
from helpers.clusters import manifests


@folding.step()
def compare(
    context: str, workload: str, path: str, rules: Mapping[str, str], clients: Sequence[Caller]
) -> dict[str, list[str]]:
    """What each client is answered under each rule alone; the manifest has a ${NAME} and a ${RULE}.

    A policy is applied before the previous one is deleted, so the workload is never without.
    Raises ApiError, TimedOutError.
    """
    found = {}
    for name, rule in rules.items():
        values = {"NAME": name, "RULE": rule}
        namespace = yaml.safe_load(manifests.render(path, **values))["metadata"]["namespace"]
        kube.apply(context, path, **values)
        delete(context, namespace, *(other for other in rules if other != name))
        istio.policies(context, workload, f"{name}.{namespace}")
        found[name] = callers.statuses(clients)
    return found


def delete(context: str, namespace: str, *names: str) -> None:
    """Delete those of these AuthorizationPolicies that exist."""
    kube.delete(context, namespace, *(f"authorizationpolicy/{name}" for name in names))
