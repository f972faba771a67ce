"""Resources with the tutorial's tags, from the Resource Groups Tagging API, and those that it omits."""

from collections.abc import Iterator
from typing import Any

from helpers import aws
from helpers.aws import iam
from helpers.base.errors import ApiError
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL

# The API lists these for up to an hour after their deletion; EC2 is queried instead. None of them exists
# alone: a NAT gateway has its address and its VPC.
_LINGERING = (":natgateway/", ":instance/", ":network-interface/", ":volume/")


def arns() -> list[str]:
    """ARNs of resources with this run's tag."""
    return [found["ResourceARN"] for found in _resources(Project=current().TUTORIAL_NAME)]


def of_all_runs() -> Iterator[dict[str, str]]:
    """The tags of everything in AWS that any run of the tutorial created."""
    for found in _resources(Tutorial=TUTORIAL):
        tags = _dict(found["Tags"])
        if ":acm:" in found["ResourceARN"]:  # the certificate's name is alb.<domain>
            tags["Domain"] = tags.get("Name", "").partition(".")[2]
        yield tags
    by_tag = [{"Name": "tag:Tutorial", "Values": [TUTORIAL]}]
    for address in aws.list_all("ec2", "describe_addresses", "Addresses", Filters=by_tag):
        yield _dict(address["Tags"])
    try:
        yield from [tags for tags in _of_roles() if tags.get("Tutorial") == TUTORIAL]
    except ApiError as refused:  # by the policy that fits one run; roles cost nothing
        print(f"Runs that left only roles are not found: {refused}")


def _of_roles() -> Iterator[dict[str, str]]:
    for role in aws.list_all("iam", "list_roles", "Roles"):
        if role["RoleName"].endswith(tuple(f"-{purpose}" for purpose in iam.ROLES)):
            yield _dict(aws.list_all("iam", "list_role_tags", "Tags", RoleName=role["RoleName"]))


def _resources(**tags: str) -> list[dict[str, Any]]:
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    service = "resourcegroupstaggingapi"
    found = aws.list_all(service, "get_resources", "ResourceTagMappingList", TagFilters=filters)
    return [each for each in found if not any(kind in each["ResourceARN"] for kind in _LINGERING)]


def _dict(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
