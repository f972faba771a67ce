"""EKS: clusters and node groups, backed by real ones; their states are those of the real ones."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any

from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.eks.models import Cluster, EKSBackend, Nodegroup, validate_safe_to_delete

from lab.aws.api import principals
from lab.aws.api.call import given
from lab.aws.context import LabBackend
from lab.aws.services.ec2.networks import Networks
from lab.aws.services.eks import refusals, versions
from lab.aws.services.eks.control_plane import ControlPlane
from lab.aws.services.eks.updates import Responses, Update

log = logging.getLogger(__name__)


class Clusters(LabBackend, EKSBackend, TaggableResourcesMixin):
    """Clusters of a region. The Resource Groups Tagging API lists them and their node groups."""

    SERVICE_NAMESPACE = "eks"
    response_class = Responses

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._planes: dict[str, ControlPlane] = {}
        self._work: dict[str, ThreadPoolExecutor] = {}  # one thread per cluster: one operation at a time
        self._updates: dict[str, list[Update]] = {}

    @property
    def url_paths(self) -> dict[str, Callable[..., Any]]:
        updates = "/clusters/(?P<name>[^/]+)/updates"
        more = dict.fromkeys((f"{updates}$", f"{updates}/(?P<updateId>[^/]+)$"), Responses.dispatch)
        return {**super().url_paths, **more, "/cluster-versions$": versions.describe}

    def create_cluster(
        self, name: str, role_arn: str, resources_vpc_config: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Cluster:
        version = kwargs.get("version")
        if name not in self.clusters:
            refusals.access(given().get("accessConfig", {}))
            refusals.create_cluster(self.peer(Networks), name, version, role_arn, resources_vpc_config)
            refusals.second_cluster(self.peer(Networks), list(self.clusters.values()), resources_vpc_config)
        cluster = super().create_cluster(name, role_arn, resources_vpc_config, *args, **kwargs)
        _show_access(cluster)
        creator = principals.caller() or principals.OWN
        plane = ControlPlane(self.context, self.region_name, cluster, creator.arn)
        self._planes[name], self._updates[name] = plane, []
        self._work[name] = ThreadPoolExecutor(1, f"eks-{name}")
        answer = copy(cluster)  # CREATING, even if it is ACTIVE before the answer is written
        self._start(name, plane.create)
        return answer

    def describe_cluster(self, name: str) -> Cluster:
        cluster = super().describe_cluster(name)
        if plane := self._planes.get(name):
            plane.look()
        return cluster

    def update(
        self, name: str, resourcesVpcConfig: dict[str, Any] | None, logging: dict[str, Any] | None
    ) -> Update:
        """ACTIVE → UPDATING → ACTIVE; other settings are kept. Running programs are not affected."""
        cluster = self.describe_cluster(name)
        former = cluster.resources_vpc_config
        merged = former | (resourcesVpcConfig or {})
        refusals.update_cluster_config(cluster, merged, logging)
        if logging:
            update = Update("LoggingUpdate", {"clusterLogging": logging["clusterLogging"]})
        else:
            update = Update("EndpointAccessUpdate", dict(resourcesVpcConfig or {}))
        self.update_cluster_config(name, merged, logging)
        cluster.status = "UPDATING"
        self._updates[name].append(update)
        self._start(name, lambda: self._updated(cluster, update))
        return update

    def _updated(self, cluster: Cluster, update: Update) -> None:
        self._planes[cluster.name].updated()
        update.status = "Successful"

    def list_updates(self, name: str) -> list[Update]:
        self.describe_cluster(name)
        return list(self._updates[name])

    def describe_update(self, name: str, update_id: str) -> Update:
        found = [update for update in self.list_updates(name) if update.id == update_id]
        if not found:
            raise refusals.no_update(name, update_id)
        return found[0]

    def delete_cluster(self, name: str) -> Cluster:
        cluster = self.describe_cluster(name)
        validate_safe_to_delete(cluster)
        refusals.delete_cluster(cluster)
        if cluster.status != "DELETING":
            cluster.status = "DELETING"
            self._start(name, lambda: self._delete(name))
        return cluster

    def _delete(self, name: str) -> None:
        self._planes.pop(name).delete()
        super().delete_cluster(name)
        self._work.pop(name).shutdown(wait=False)

    def create_nodegroup(
        self,
        cluster_name: str,
        node_role: str,
        nodegroup_name: str,
        subnets: list[str],
        *args: Any,
        **kwargs: Any,
    ) -> Nodegroup:
        cluster = self.describe_cluster(cluster_name)
        if nodegroup_name not in cluster.nodegroups:
            refusals.create_nodegroup(self.peer(Networks), cluster, node_role, subnets)
            refusals.second_nodegroup(cluster)
        group = super().create_nodegroup(cluster_name, node_role, nodegroup_name, subnets, *args, **kwargs)
        plane = self._planes[cluster_name]
        plane.describe_nodegroup(group)
        answer = copy(group)
        self._start(cluster_name, lambda: plane.create_node(group))
        return answer

    def delete_nodegroup(self, cluster_name: str, nodegroup_name: str) -> Nodegroup:
        group = self.describe_nodegroup(cluster_name, nodegroup_name)
        if group.status != "DELETING":
            group.status = "DELETING"
            self._start(cluster_name, lambda: self._delete_nodegroup(cluster_name, nodegroup_name))
        return group

    def _delete_nodegroup(self, cluster_name: str, nodegroup_name: str) -> None:
        self._planes[cluster_name].delete_node()
        super().delete_nodegroup(cluster_name, nodegroup_name)

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception:
                log.exception("the EKS cluster %s", name)

        self._work[name].submit(run)

    def close(self) -> None:
        """Stop every cluster; their descriptions in the API remain."""
        for name, work in list(self._work.items()):
            if plane := self._planes.get(name):
                self._start(name, plane.delete)
            work.shutdown()

    def _tags(self, arn: str) -> dict[str, str]:
        for cluster in list(self.clusters.values()):
            described: list[Cluster | Nodegroup] = [cluster, *cluster.nodegroups.values()]
            for resource in described:
                if resource.arn == arn:
                    return resource.tags
        raise refusals.not_found(arn)

    def tag_resource(self, resource_arn: str, tags: dict[str, str]) -> None:
        self._tags(resource_arn).update(tags)

    def untag_resource(self, resource_arn: str, tag_keys: list[str]) -> None:
        tags = self._tags(resource_arn)
        for key in [tag_keys] if isinstance(tag_keys, str) else tag_keys:
            tags.pop(key, None)

    def list_tags_for_resource(self, resource_arn: str) -> dict[str, str]:
        return self._tags(resource_arn)

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for cluster in list(self.clusters.values()):
            yield TaggedResource(cluster.arn, dict(cluster.tags), "eks:cluster")
            for group in list(cluster.nodegroups.values()):
                yield TaggedResource(group.arn, dict(group.tags), "eks:nodegroup")


def _show_access(cluster: Any) -> None:
    """Members that moto drops, with EKS's defaults."""
    cluster.access_config = {"authenticationMode": "CONFIG_MAP"} | given().get("accessConfig", {})
    cluster.upgrade_policy = given().get("upgradePolicy", {"supportType": "EXTENDED"})
