"""Target groups: functions with real health checks."""

import inspect
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

from lab.aws.context import LabBackend
from lab.aws.dataplane.load_balancer import HealthCheck, TargetGroup
from lab.aws.dataplane.load_balancer.health import NOT_REGISTERED
from lab.aws.services.elb.refusals import target_groups as refusals
from lab.aws.services.lambda_.functions import Functions


class TargetGroups(LabBackend, ELBv2Backend):
    """The target groups of a region, all of type lambda."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._groups: dict[str, TargetGroup] = {}

    def create_target_group(self, name: str, **kwargs: Any) -> FakeTargetGroup:
        refusals.create(kwargs)
        former = next((group for group in list(self.target_groups.values()) if group.name == name), None)
        if former:
            refusals.create_again(former, kwargs)
            return former
        kwargs["unhealthy_threshold_count"] = kwargs.get("unhealthy_threshold_count") or 5  # moto: 2
        group = super().create_target_group(name, **kwargs)
        group.attributes = {refusals.MULTI_VALUE_HEADERS: "false"}
        self._groups[group.arn] = TargetGroup(group.arn)
        self._configure(group)
        return group

    def modify_target_group(self, arn: str, *args: Any, **kwargs: Any) -> FakeTargetGroup:
        settings = inspect.signature(super().modify_target_group).bind(arn, *args, **kwargs).arguments
        if arn in self.target_groups:
            refusals.modify(self.target_groups[arn], settings)
        group = super().modify_target_group(arn, *args, **kwargs)
        if codes := settings.get("http_codes"):  # moto drops them
            group.matcher = {"HttpCode": codes}
        self._configure(group)
        return group

    def modify_target_group_attributes(self, target_group_arn: str, attributes: dict[str, Any]) -> None:
        refusals.modify_attributes(attributes)
        super().modify_target_group_attributes(target_group_arn, attributes)
        self._configure(self.target_groups[target_group_arn])

    def _configure(self, group: FakeTargetGroup) -> None:
        real = self._groups[group.arn]
        real.multi_value_headers = group.attributes[refusals.MULTI_VALUE_HEADERS] == "true"
        real.set_health_check(
            HealthCheck(
                enabled=str(group.health_check_enabled).lower() == "true",
                path=group.health_check_path or "/",
                interval=float(group.health_check_interval_seconds),
                timeout=float(group.health_check_timeout_seconds),
                healthy_threshold=int(group.healthy_threshold_count),
                unhealthy_threshold=int(group.unhealthy_threshold_count),
                matcher=group.matcher["HttpCode"],
            )
        )

    def register_targets(self, target_group_arn: str, instances: list[Any]) -> None:
        group = self.target_groups.get(target_group_arn)
        functions = self.peer(Functions)
        if group:
            refusals.register(group, functions, instances)
        super().register_targets(target_group_arn, instances)
        arn = instances[0]["Id"]
        self._groups[target_group_arn].register(
            lambda payload: functions.invoke_for_target_group(arn, target_group_arn, payload)
        )

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        super().deregister_targets(target_group_arn, instances)
        self._groups[target_group_arn].deregister()

    def delete_target_group(self, target_group_arn: str) -> FakeTargetGroup:
        group = super().delete_target_group(target_group_arn)
        self._groups.pop(target_group_arn).close()
        return group

    def describe_target_health(
        self, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        statuses = super().describe_target_health(target_group_arn, targets)
        group = self.target_groups[target_group_arn]
        for status in statuses:
            known = status.instance_id in group.targets
            health = self._groups[group.arn].health() if known else NOT_REGISTERED
            status.status, status.reason = health.state, health.reason
            status.description = health.description
        return statuses

    def _update_use(self) -> None:
        """Update which load balancers use which target group; moto only adds entries."""
        for group in list(self.target_groups.values()):
            group.load_balancer_arns = [
                lb.arn
                for lb in list(self.load_balancers.values())
                if any(
                    group.arn in self._get_target_group_arns_from(action.data)
                    for listener in list(lb.listeners.values())
                    for action in listener.default_actions
                )
            ]
            self._groups[group.arn].set_in_use(bool(group.load_balancer_arns))
