"""ARNs of a call's resources, and the condition keys of a resource or of a request's tags."""

from typing import Any

from moto.core.resource_tagging import iter_taggable_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from lab.aws.api.call import Call
from lab.settings import ACCOUNT_ID

Keys = dict[str, list[str]]
_GLOBAL = ("iam", "route53")


def arn(call: Call, service: str, resource: str) -> str:
    """The ARN of a resource in the call's region."""
    if service == "route53":
        return f"arn:aws:route53:::{resource}"
    return f"arn:aws:{service}:{'' if service in _GLOBAL else call.region}:{ACCOUNT_ID}:{resource}"


def role(name: str) -> str:
    """The ARN of a role; the path is known only if the role exists."""
    found = list(iam_backends[ACCOUNT_ID]["aws"].roles.values())
    here: list[str] = [one.arn for one in found if one.name == name]
    return here[0] if here else f"arn:aws:iam::{ACCOUNT_ID}:role/{name}"


def request_tags(tags: Any) -> Keys:
    """aws:RequestTag/… and aws:TagKeys, from tags as a list or a map."""
    pairs = tags if isinstance(tags, dict) else {tag["Key"]: tag.get("Value", "") for tag in tags or []}
    keys = {f"aws:requesttag/{name.lower()}": [str(value)] for name, value in pairs.items()}
    return keys | ({"aws:tagkeys": list(pairs)} if pairs else {})


def resource_tags(call: Call, resource: str) -> Keys:
    """aws:ResourceTag/…; empty for a missing resource, so a condition on them denies it, as on AWS."""
    keys: Keys = {}
    if not resource.startswith("arn:aws:"):
        return keys
    service = resource.split(":")[2]
    for name, value in _tags(call, service, resource).items():
        keys[f"aws:resourcetag/{name.lower()}"] = keys[f"{service}:resourcetag/{name.lower()}"] = [value]
    return keys


def _tags(call: Call, service: str, resource: str) -> dict[str, str]:
    if service == "ec2":
        return dict(ec2_backends[ACCOUNT_ID][call.region].tags.get(resource.rpartition("/")[2], {}))
    for backend in iter_taggable_backends(ACCOUNT_ID, call.region):
        if backend.owns_arn(resource):
            for tagged in backend.iter_tagged_resources():
                if tagged.arn == resource:
                    return tagged.tags
    return {}
