"""Changes by Google's APIs, with gcloud's command for each, rendered from the very request."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from helpers.base import changes, command

T = TypeVar("T")
Request = dict[str, Any]  # as the API's own message has it
Words = list[str]
Flags = dict[str, Callable[[Any], Words]]  # by the path of a field: its words on the command line


def change(
    operation: str, request: Request, do: Callable[[Request], T], answer: Callable[[], str] = str
) -> T:
    """`do(request)`, and print gcloud's command for it, with what the command prints: `answer()`.

    `operation` is a key of `COMMANDS`. Raises ChangeNeededError, ValueError for a field without a flag, and
    what `do` and `answer` raise.
    """
    lines = [command.broken(words) for words in COMMANDS[operation](request)]
    for line in lines:
        changes.begin(line)
    done, said = do(request), ""
    try:
        said = answer()
    finally:  # the change was made
        for line in lines[:-1]:
            command.show_change(line)
        command.show_change(lines[-1], said)
    return done


def path(name: str) -> Words:
    """A name such as "projects/p/locations/l/clusters/c" for a command line: "c", then flags."""
    parts = name.split("/")
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    flags = [word for kind in ("project", "location", "region") for word in _place(kind, named)]
    rest = [value for kind, value in named.items() if kind not in ("projects", "locations", "regions")]
    return [*rest, *flags]


def _place(kind: str, named: dict[str, str]) -> Words:
    return [f"--{kind}", named[f"{kind}s"]] if f"{kind}s" in named else []


def _switch(flag: str) -> Callable[[bool], Words]:
    return lambda on: [f"--{flag}" if on else f"--no-{flag}"]


def _value(flag: str) -> Callable[[Any], Words]:
    return lambda value: [f"--{flag}", str(value)]


def _only(value: Any, flag: str) -> Callable[[Any], Words]:
    def words(given: Any) -> Words:
        if given != value:
            raise ValueError(f"gcloud's {flag} stands for {value}, not for {given}")
        return [flag]

    return words


def _networks(blocks: list[dict[str, str]]) -> Words:
    if any(block.keys() != {"cidr_block"} for block in blocks):
        raise ValueError(f"gcloud takes ranges only: {blocks}")
    return ["--master-authorized-networks", ",".join(block["cidr_block"] for block in blocks)]


def _flags(table: Flags, request: Request, at: str = "") -> Iterator[str]:
    for name, value in request.items():
        field = f"{at}{name}"
        if field in table:
            yield from table[field](value)
        elif isinstance(value, dict):
            yield from _flags(table, value, f"{field}.")
        else:
            raise ValueError(f"no flag of gcloud is known here for the field {field}")


_AUTHORIZED: Flags = {
    "enabled": _switch("enable-master-authorized-networks"),
    "cidr_blocks": _networks,
    "gcp_public_cidrs_access_enabled": _switch("enable-google-cloud-access"),
}
# https://cloud.google.com/sdk/gcloud/reference/container/clusters/create
_CLUSTER: Flags = {
    "initial_node_count": _value("num-nodes"),
    "network_config.default_enable_private_nodes": _switch("enable-private-nodes"),
    "ip_allocation_policy.use_ip_aliases": _switch("enable-ip-alias"),
    "node_config.machine_type": _value("machine-type"),
    "release_channel.channel": lambda channel: ["--release-channel", channel.lower()],
    "resource_labels": lambda labels: [
        "--labels",
        ",".join(f"{key}={value}" for key, value in labels.items()),
    ],
    **{f"master_authorized_networks_config.{name}": words for name, words in _AUTHORIZED.items()},
}
_CLUSTER_UPDATE: Flags = {
    f"desired_master_authorized_networks_config.{name}": words for name, words in _AUTHORIZED.items()
}
# https://cloud.google.com/sdk/gcloud/reference/compute/routers
_ROUTER: Flags = {
    "description": _value("description"),
    "network": lambda network: ["--network", network.rpartition("/")[2]],
}
_NAT: Flags = {
    "natIpAllocateOption": _only("AUTO_ONLY", "--auto-allocate-nat-external-ips"),
    "sourceSubnetworkIpRangesToNat": _only("ALL_SUBNETWORKS_ALL_IP_RANGES", "--nat-all-subnet-ip-ranges"),
}
_CLUSTERS, _ROUTERS = ["gcloud", "container", "clusters"], ["gcloud", "compute", "routers"]


def _create_cluster(request: Request) -> list[Words]:
    cluster = dict(request["cluster"])
    named = path(f"{request['parent']}/clusters/{cluster.pop('name')}")
    # The caller looks again later; gcloud itself would wait.
    later = ["--async", "--format", "value(status)"]
    return [[*_CLUSTERS, "create", *named, *_flags(_CLUSTER, cluster), *later]]


def _update_cluster(request: Request) -> list[Words]:
    return [[*_CLUSTERS, "update", *path(request["name"]), *_flags(_CLUSTER_UPDATE, request["update"])]]


def _delete_cluster(request: Request) -> list[Words]:
    return [[*_CLUSTERS, "delete", *path(request["name"]), "--async", "--quiet"]]


def _insert_router(request: Request) -> list[Words]:
    """A router and its NATs are one request of the API, and two commands of gcloud."""
    router = dict(request["router_resource"])
    where, name, nats = path(request["parent"]), router.pop("name"), router.pop("nats", [])
    lines = [[*_ROUTERS, "create", name, *where, *_flags(_ROUTER, router)]]
    for given in nats:
        nat = dict(given)
        lines.append(
            [*_ROUTERS, "nats", "create", nat.pop("name"), "--router", name, *where, *_flags(_NAT, nat)]
        )
    return lines


def _delete_router(request: Request) -> list[Words]:
    return [[*_ROUTERS, "delete", *path(request["name"]), "--quiet"]]


COMMANDS: dict[str, Callable[[Request], list[Words]]] = {
    "create_cluster": _create_cluster,
    "update_cluster": _update_cluster,
    "delete_cluster": _delete_cluster,
    "insert_router": _insert_router,
    "delete_router": _delete_router,
}
