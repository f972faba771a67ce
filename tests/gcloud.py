"""Parses gcloud's commands as gcloud does, as far as helpers print them: from command line to request.

Written from gcloud's reference, not from the helpers' renderer. Any other flag is an error.
https://cloud.google.com/sdk/gcloud/reference
"""

import shlex
from collections.abc import Callable
from typing import Any

Field = tuple[str, Callable[[str], Any]]  # the path in the request, and a function that returns its value
ON = "on"  # the value of a flag without an argument

AUTHORIZED: dict[str, Field] = {
    "--enable-master-authorized-networks": ("enabled", lambda _: True),
    "--master-authorized-networks": (
        "cidr_blocks",
        lambda text: [{"cidr_block": one} for one in text.split(",")],
    ),
    "--no-enable-google-cloud-access": ("gcp_public_cidrs_access_enabled", lambda _: False),
}
FLAGS: dict[str, dict[str, Field]] = {
    "container clusters create": {
        "--num-nodes": ("initial_node_count", int),
        "--enable-private-nodes": ("network_config.default_enable_private_nodes", lambda _: True),
        "--enable-ip-alias": ("ip_allocation_policy.use_ip_aliases", lambda _: True),
        "--machine-type": ("node_config.machine_type", str),
        "--release-channel": ("release_channel.channel", str.upper),
        "--labels": ("resource_labels", lambda text: dict(pair.split("=") for pair in text.split(","))),
        **{
            flag: (f"master_authorized_networks_config.{field}", read)
            for flag, (field, read) in AUTHORIZED.items()
        },
    },
    "container clusters update": {
        flag: (f"desired_master_authorized_networks_config.{field}", read)
        for flag, (field, read) in AUTHORIZED.items()
    },
    "container clusters delete": {},
    "container clusters describe": {},
    "container clusters get-credentials": {},
    "container operations list": {
        "--filter": ("filter", str),
        "--sort-by": ("sort_by", str),
        "--limit": ("limit", int),
    },
    "container operations wait": {},
    "compute routers create": {
        "--description": ("description", str),
        "--network": ("network", lambda name: f"projects/lab-project/global/networks/{name}"),
    },
    "compute routers nats create": {
        "--router": ("router", str),
        "--auto-allocate-nat-external-ips": ("natIpAllocateOption", lambda _: "AUTO_ONLY"),
        "--nat-all-subnet-ip-ranges": (
            "sourceSubnetworkIpRangesToNat",
            lambda _: "ALL_SUBNETWORKS_ALL_IP_RANGES",
        ),
    },
    "compute routers delete": {},
}
PLACE = {"--project", "--location", "--region"}
NO_VALUE = {"--quiet", "--async", "--auto-allocate-nat-external-ips", "--nat-all-subnet-ip-ranges"}
OUTPUT = {"--format", "--quiet", "--async"}  # flags that control execution and output, not the request


def read(line: str) -> tuple[str, dict[str, Any]]:
    """The verb, such as "container clusters create", and the request's fields with name and location."""
    gcloud, *words = shlex.split(line)
    assert gcloud == "gcloud"
    verb = max((verb for verb in FLAGS if words[: len(verb.split())] == verb.split()), key=len)
    rest = words[len(verb.split()) :]
    request: dict[str, Any] = {"name": rest.pop(0)} if not rest[0].startswith("--") else {}
    while rest:
        flag = rest.pop(0)
        value = ON if flag in NO_VALUE or flag.startswith(("--enable", "--no-")) else rest.pop(0)
        if flag in PLACE:
            request[flag.removeprefix("--")] = value
        elif flag not in OUTPUT:
            field, convert = FLAGS[verb][flag]
            _put(request, field, convert(value))
    return verb, request


def _put(request: dict[str, Any], field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        request = request.setdefault(parent, {})
    assert last not in request
    request[last] = value
