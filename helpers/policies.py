"""AuthorizationPolicies: compare several, delete them."""

from collections.abc import Mapping, Sequence

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
    namespace = workload.rpartition(".")[2]
    found = {}
    for name, rule in rules.items():
        kube.apply_text(context, manifests.render(path, NAME=name, RULE=rule))  # a file for each
        delete(context, namespace, *(other for other in rules if other != name))
        istio.policies(context, workload, f"{name}.{namespace}")
        found[name] = callers.statuses(clients)
    return found


def delete(context: str, namespace: str, *names: str) -> None:
    """Delete those of these AuthorizationPolicies that exist."""
    kube.delete(context, namespace, *(f"authorizationpolicy/{name}" for name in names))
