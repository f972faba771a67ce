"""Runs of the tutorial, of whatever name, that an account still has something of; found by tag alone."""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from helpers import aws, gke
from helpers.base.errors import ApiError, SettingsError
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL
from helpers.gcp import cloud_nat
from helpers.inventory import ROLES

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TAG_TIME, _LABEL_TIME = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dt%H-%M-%Sz"


@dataclass
class Run:
    """What bears one TUTORIAL_NAME; `newest` is when the youngest part of it was made."""

    name: str
    newest: datetime
    domain: str = ""
    location: str = ""


def older_than(age: str) -> list[Run]:
    """Runs, oldest first, all of whose parts are older than `age`, e.g. "90m", "24h", "7d".

    A run that still makes something is young by that, however long it has been going. What does not
    carry the tutorial's own tags is never looked at. Raises SettingsError for an age that is none.
    """
    match = re.fullmatch(r"(\d+)([mhd])", age)
    if not match:
        raise SettingsError("Reading the age", f"{age!r} is none", "90m, 24h or 7d")
    before = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    return sorted((run for run in _all() if run.newest < before), key=lambda run: run.newest)


@contextmanager
def settings_of(run: Run) -> Iterator[None]:
    """The settings in force are that run's, with a kubeconfig of its own: this run's stays as it is."""
    former = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"TUTORIAL_NAME": run.name, "KUBECONFIG": str(Path(folder) / "kubeconfig")}
        if run.domain:
            os.environ["DOMAIN"] = run.domain
        if run.location:
            os.environ["GOOGLE_CLOUD_LOCATION"] = run.location
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(former)


def _all() -> list[Run]:
    runs: dict[str, Run] = {}
    for tags in _tags():
        name, created = tags.get("Project", ""), tags.get("Created", "")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", name):
            continue
        run = runs.setdefault(name, Run(name, datetime.min.replace(tzinfo=UTC)))
        run.newest = max(run.newest, _time(created))
        run.domain = tags.get("Domain", "") or run.domain
        run.location = tags.get("Location", "") or run.location
    return list(runs.values())


def _time(created: str) -> datetime:
    """When; what has no readable time counts as made now, so that it is never swept."""
    for form in (_TAG_TIME, _LABEL_TIME):
        try:
            return datetime.strptime(created, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return datetime.now(UTC)


def _tags() -> Iterable[dict[str, str]]:
    """The tags of everything with the tutorial's tag, by the tagging API and where that is blind."""
    ours = [{"Key": "Tutorial", "Values": [TUTORIAL]}]
    service = "resourcegroupstaggingapi"
    for found in aws.list_all(service, "get_resources", "ResourceTagMappingList", TagFilters=ours):
        tags = _dict(found["Tags"])
        if ":acm:" in found["ResourceARN"]:  # the certificate's name is alb.<domain>
            tags["Domain"] = tags.get("Name", "").partition(".")[2]
        yield tags
    by_tag = [{"Name": "tag:Tutorial", "Values": [TUTORIAL]}]
    for address in aws.list_all("ec2", "describe_addresses", "Addresses", Filters=by_tag):
        yield _dict(address["Tags"])
    try:
        yield from [tags for tags in _tags_of_roles() if tags.get("Tutorial") == TUTORIAL]
    except ApiError as refused:  # by the policy that fits one run; roles cost nothing
        print(f"Runs of which nothing but roles is left are not found: {refused}")
    if current().GOOGLE_CLOUD_PROJECT:
        yield from map(cloud_nat.tags, cloud_nat.of_all_runs())
        for cluster in gke.labelled("tutorial", TUTORIAL):
            labels = {key.capitalize(): value for key, value in cluster.resource_labels.items()}
            yield {**labels, "Location": cluster.location}


def _tags_of_roles() -> Iterable[dict[str, str]]:
    for role in aws.list_all("iam", "list_roles", "Roles"):
        if role["RoleName"].endswith(tuple(f"-{purpose}" for purpose in ROLES)):
            yield _dict(aws.list_all("iam", "list_role_tags", "Tags", RoleName=role["RoleName"]))


def _dict(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
