"""Log groups in CloudWatch: made before the service makes them, which would be without a tag and for ever."""

from helpers import aws
from helpers.aws import deletion
from helpers.base.resource import Resource

RETENTION = 7  # days


def exists(name: str) -> bool:
    """Whether there is a log group of exactly that name."""
    groups = aws.list_all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for group in groups)


def ensure(name: str) -> None:
    """The log group, tagged, encrypted with CloudWatch's own key, its lines kept for a week."""
    if not exists(name):
        aws.call("logs", "create_log_group", logGroupName=name, tags=aws.project_tags())
        aws.said(f"logs create-log-group --log-group-name {name}")
    aws.call("logs", "put_retention_policy", logGroupName=name, retentionInDays=RETENTION)


def delete(name: str) -> None:
    """Delete the log group; fine when there is none."""
    deletion.delete("logs", "delete_log_group", logGroupName=name)


def leftovers(name: str) -> list[Resource]:
    """The log group, where it exists."""
    return [Resource("AWS", "log group", name)] if exists(name) else []
