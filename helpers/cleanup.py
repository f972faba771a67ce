"""Deletes everything that the tutorial created in both clouds, found by tag and name; idempotent.

On the command line: `python -m helpers.cleanup --help`.
"""

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from helpers import acm, dns, eks, function, gke, in_clusters, kube, load_balancer, network, show
from helpers.aws import node_group, tagging
from helpers.base import contents, folding, runs
from helpers.base.errors import ApiError, SettingsError, TimedOutError, UnreachableError, for_people
from helpers.base.resource import Resource
from helpers.base.settings import current, override
from helpers.base.tables import Rich
from helpers.base.waiting import wait_until
from helpers.clusters import kubeconfig
from helpers.gcp import cloud_nat, container


class Noun(Protocol):
    """One kind of resource that the tutorial creates, in one cloud."""

    def delete(self) -> None:
        """Delete it, if it exists. Waits if the next deletion depends on it."""

    def leftovers(self) -> list[Resource]:
        """What exists, from the cloud's own listings."""


# Dependents first, and slow deletions early. The keys are those of `contents.THINGS`, which says which
# notebook creates each.
NOUNS: dict[str, Noun] = {
    "gke": gke,
    "nodes": node_group,
    "record": dns,
    "alb": load_balancer,
    "certificate": acm,
    "function": function,
    "eks": eks,
    "vpc": network,
    "cloud-nat": cloud_nat,
}
_GOOGLE = ("gke", "cloud-nat")
_LIMIT = 1800  # seconds; EKS takes up to fifteen minutes to delete a cluster


def _nouns(since: str = "00") -> list[Noun]:
    """Those in the clouds that the settings name, of what that notebook and later ones create."""
    return [
        noun
        for key, noun in NOUNS.items()
        if contents.THINGS[key].notebook >= since and (key not in _GOOGLE or current().GOOGLE_CLOUD_PROJECT)
    ]


def listing() -> list[Resource]:
    """What is left in both clouds; [] if nothing is.

    The tagging API lists neither roles nor what Kubernetes created, so each service is queried too.
    """
    # A security group is the load balancer's, and in the VPC.
    found = list(dict.fromkeys(resource for noun in _nouns() for resource in noun.leftovers()))
    others = [arn for arn in tagging.arns() if not any(resource.name in arn for resource in found)]
    return found + [Resource("AWS", "tagged", arn) for arn in others]


def table() -> Rich:
    """What is left, as a table; folded by cloud in a notebook."""
    found, folds = listing(), ""
    for cloud in dict.fromkeys(resource.cloud for resource in found):
        rows = [(resource.kind, resource.name) for resource in found if resource.cloud == cloud]
        inside = show.table(rows, ("kind", "name"))._repr_html_()
        folds += f"<details><summary>{cloud}: {len(rows)} resources</summary>{inside}</details>"
    rows_of_all = [(resource.cloud, resource.kind, resource.name) for resource in found]
    text = repr(show.table(rows_of_all, ("cloud", "kind", "name")))
    return Rich(text, html=folds or "<p>Nothing exists in either cloud.</p>")


def plan() -> list[Resource]:
    """What the clean-up would delete, in order; changes nothing.

    Services of type LoadBalancer come first, if their cluster's API server answers.
    """
    with looking() as ready:
        services = [
            Resource(context, "Service", f"{each.metadata.namespace}/{each.metadata.name}")
            for context in ready
            for each in _services(context)
        ]
    return services + listing()


@folding.step()
def everything() -> None:
    """Delete everything, wait until it is gone, and check that nothing is listed.

    Raises TimedOutError with a list of what is left; another run continues from there.
    """
    if not listing():
        print("Nothing exists: nothing to delete")
        return
    # First what Kubernetes created in the clouds: without its cluster, nothing would delete it.
    _delete_services()
    for noun in _nouns():
        noun.delete()
    wait_until(
        "both clouds' listings to be empty",
        listing,
        lambda left: not left,
        timeout=_LIMIT,
        state=_named,
        hint="run the clean-up again: it continues from here.",
    )
    print("Nothing is left in either cloud")


def since(number: str) -> list[Resource]:
    """What that notebook and later ones created and what still exists, in the order of deletion."""
    with looking() as ready:
        return _leftovers(_made_since(number, ready))


def _leftovers(nouns: list[Noun]) -> list[Resource]:
    return list(dict.fromkeys(found for noun in nouns for found in noun.leftovers()))


def back_to(number: str) -> None:
    """Delete what that notebook and later ones created, and wait until it is gone; keep the rest.

    The clusters themselves are created in notebook 00; the node group of EKS in 02.
    Raises TimedOutError with a list of what is left; run again, it continues from there.
    """
    nouns = _made_since(number, _ready())
    if not _leftovers(nouns):
        print(f"Nothing that notebooks {number} to 06 create exists: nothing to delete")
        return
    for noun in nouns:
        noun.delete()
    wait_until(
        f"what notebooks {number} to 06 created to be deleted",
        lambda: _leftovers(nouns),
        lambda left: not left,
        timeout=_LIMIT,
        state=_named,
        hint="run the clean-up again: it continues from here.",
    )
    for context in (eks.CONTEXT, gke.CONTEXT):
        if contents.THINGS[f"{context}/istiod"].notebook >= number:
            kubeconfig.remove(context)
    print(f"Nothing that notebooks {number} to 06 created is left")


def _made_since(number: str, ready: list[str]) -> list[Noun]:
    """Those in the clusters of these contexts first."""
    inside: list[Noun] = [
        noun
        for key, noun in in_clusters.NOUNS.items()
        if contents.THINGS[key].notebook >= number and noun.context in ready
    ]
    return inside + _nouns(number)


def _named(left: list[Resource]) -> str:
    return ", ".join(f"{resource.kind} {resource.name}" for resource in left)


def runs_older_than(age: str) -> list[runs.Run]:
    """Runs, whatever their name, all of whose resources are older than `age`, e.g. "24h"."""
    return runs.older_than(age, _tags_of_all_runs())


def _tags_of_all_runs() -> Iterator[dict[str, str]]:
    """The tags of everything that any run created, in the settings' region and project."""
    yield from tagging.of_all_runs()
    if current().GOOGLE_CLOUD_PROJECT:
        yield from map(cloud_nat.tags, cloud_nat.of_all_runs())
        for cluster in container.of_all_runs():
            labels = {key.capitalize(): value for key, value in cluster.resource_labels.items()}
            yield {**labels, "Location": cluster.location}


@contextmanager
def looking() -> Iterator[list[str]]:
    """Contexts of the reachable clusters, in a kubeconfig that is deleted afterward."""
    with (
        tempfile.TemporaryDirectory() as folder,
        override(KUBECONFIG=Path(folder) / "kubeconfig"),
    ):
        with redirect_stdout(io.StringIO()):
            ready = _ready()
        yield ready


def _ready() -> list[str]:
    """Contexts of the reachable clusters, written into the kubeconfig."""
    ready = []
    if eks.status() in eks.READY:
        eks.connect()
        ready.append(eks.CONTEXT)
    if current().GOOGLE_CLOUD_PROJECT and gke.status() in gke.READY:
        gke.connect()
        ready.append(gke.CONTEXT)
    return ready


def _services(context: str) -> list[Any]:
    """The Services for which the cluster created a load balancer."""
    try:
        found = kube.get(context, "services")
    except (ApiError, UnreachableError) as failed:
        # A cluster that no longer answers must not stop the clean-up.
        print(f"{context} does not answer, so the cloud is searched for its load balancers: {failed}")
        return []
    return [each for each in found if each.spec.type == "LoadBalancer"]


def _delete_services() -> None:
    for context in _ready():
        for service in _services(context):
            namespace, name = service.metadata.namespace, service.metadata.name
            try:
                # Its owner, such as a Gateway of the Gateway API, would be given a new one.
                for owner in service.metadata.ownerReferences or ():
                    kube.delete(context, namespace, f"{_kind(owner)}/{owner.name}")
                kube.delete(context, namespace, f"service/{name}")
            except (ApiError, UnreachableError, TimedOutError) as failed:
                print(f"{context} kept {namespace}/{name}; its load balancer is searched for: {failed}")


def _kind(owner: Any) -> str:
    """As kubectl knows it, e.g. "gateway.gateway.networking.k8s.io"."""
    group = owner.apiVersion.rpartition("/")[0]
    return f"{owner.kind}.{group}".strip(".").lower()


@for_people
def main(
    dry_run: Annotated[bool, typer.Option(help="only list what would be deleted, in order")] = False,
    older_than: Annotated[
        str, typer.Option(help="instead of this run, all runs whose newest resource is older, e.g. 24h or 7d")
    ] = "",
    first: Annotated[
        str, typer.Option("--from", help="only what this notebook and later ones created, e.g. 04")
    ] = "",
) -> None:
    """Delete what this run of the tutorial created in both clouds; exit code 1 if anything is left."""
    if first and older_than:
        raise SettingsError("Choosing what to delete", "--from and --older-than cannot be combined")
    if not older_than:
        left = _clean(dry_run, contents.chosen("FROM", first or "00"))
    else:
        left = []
        for run in runs_older_than(older_than):
            print(f"Run {run.name}, newest resource from {run.newest:%Y-%m-%d %H:%M} UTC")
            with runs.settings_of(run):
                left += _clean(dry_run)
    if left:
        sys.exit(f"Left: {_named(left)}")


def _clean(dry_run: bool, number: str = "00") -> list[Resource]:
    """What is left afterward; a dry run leaves everything, which is not a failure."""
    all_of_it = number == "00"
    if not dry_run:
        everything() if all_of_it else back_to(number)
        return listing() if all_of_it else []
    for resource in plan() if all_of_it else since(number):
        print(f"would delete: {resource.cloud}, {resource.kind} {resource.name}")
    return []


if __name__ == "__main__":
    typer.run(main)
