"""Log groups in CloudWatch: created before the service does, which would set neither tags nor an expiry."""

from typing import Any

from helpers import aws
from helpers.aws import deletion
from helpers.base.resource import Resource

RETENTION = 7  # days


def find(name: str) -> dict[str, Any] | None:
    """The log group of exactly that name as CloudWatch describes it, or None."""
    groups = aws.list_all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return next((group for group in groups if group["logGroupName"] == name), None)


def ensure(name: str) -> None:
    """The log group, tagged, encrypted with CloudWatch's own key, with a retention of a week."""
    there = find(name)
    if there is None:
        aws.change("logs", "create_log_group", logGroupName=name, tags=aws.project_tags())
    if not there or there.get("retentionInDays") != RETENTION:
        aws.change("logs", "put_retention_policy", logGroupName=name, retentionInDays=RETENTION)


def delete(name: str) -> None:
    """Delete the log group, if it exists."""
    deletion.delete("logs", "delete_log_group", logGroupName=name)


def leftovers(name: str) -> list[Resource]:
    """The log group, if it exists."""
    return [Resource("AWS", "log group", name)] if find(name) else []
