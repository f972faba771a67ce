"""The Kubernetes Gateway API: its kinds in a cluster, the addresses of its Gateways, who is answered what."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from helpers import curl, kube
from helpers.base import command, folding
from helpers.base.errors import UnreachableError
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import client, kubectl, manifests, server_side

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

# With its group, because Istio's own kind has the same name.
GATEWAY = "gateway.gateway.networking.k8s.io"
_CRD = "customresourcedefinition/gateways.gateway.networking.k8s.io"
_VERSION = "gateway.networking.k8s.io/bundle-version"  # an annotation of each CRD
_DOWNLOAD = 60  # seconds


def install(context: str) -> None:
    """Apply the CRDs that the settings name, unless the cluster came with some, as new GKE clusters do.

    https://gateway-api.sigs.k8s.io/guides/getting-started/introduction/#installing-gateway-api
    """
    if (found := kube.find(context, "", _CRD)) and not _is_ours(found):
        print(f"{context} came with the Gateway API {found.metadata.annotations[_VERSION]}")
        return
    source, text = _read(context)
    line = kubectl.line(context, *server_side.FLAGS, str(source))
    command.show_change(line, server_side.apply(context, line, _documents(text)))


@folding.step()
def remove(context: str) -> None:
    """Delete what `install` applied, and with the kinds all their objects."""
    if (found := kube.find(context, "", _CRD)) is None or not _is_ours(found):
        return
    for document in reversed(_documents(_read(context)[1])):
        kube.delete(context, "", f"{document['kind'].lower()}/{document['metadata']['name']}")


def _is_ours(crd: Any) -> bool:
    return any(entry.manager == server_side.MANAGER for entry in crd.metadata.managedFields or ())


def _read(context: str) -> tuple[str | Path, str]:
    """The CRDs, and where kubectl finds them. A file is copied beside the manifests."""
    where = current().TUTORIAL_GATEWAY_API
    if "://" not in where:
        text = Path(where).read_text(encoding="utf-8")
        return manifests.write_text("gateway-api.yaml", context, text), text
    import requests  # the import takes a tenth of a second

    try:
        answer = requests.get(where, timeout=_DOWNLOAD)
        answer.raise_for_status()
    except requests.RequestException as error:
        hint = "TUTORIAL_GATEWAY_API may name a file that you downloaded."
        raise UnreachableError(f"Downloading {where}", str(error), hint) from error
    return where, answer.text


def _documents(text: str) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, Loader=loader) if document]


def address(context: str, namespace: str, gateway: str, timeout: float = 300) -> str:
    """The address of a Gateway, once istiod has configured its Envoy; TimedOutError has istiod's report."""
    what = f"{GATEWAY}/{gateway}"
    value, _ = wait_until(
        what,
        lambda: _programmed(kube.require(context, namespace, what)),
        lambda found: bool(found[0]),
        timeout=timeout,
        state=lambda found: found[1],
        hint=f"kubectl --context {context} -n {namespace} describe {what}",
    )
    wait = ["wait", what, "--for=condition=Programmed", f"--timeout={timeout:g}s"]
    words = ["-n", namespace, *wait, "-o", "jsonpath={.status.addresses[0].value}"]
    command.show(kubectl.line(context, *words), value)
    return value


def _programmed(gateway: Any) -> tuple[str, str]:
    """Its address, or "" and the reason why there is none yet."""
    conditions = {each.type: each for each in (gateway.status and gateway.status.conditions) or ()}
    programmed = conditions.get("Programmed")
    if programmed is None or programmed.status != "True":
        return "", programmed.message if programmed else "istiod has not seen it yet"
    [first, *_] = gateway.status.addresses or [None]
    return (first.value, "") if first else ("", "no address yet")


def may_read_secrets(context: str, namespace: str, account: str) -> bool:
    """Whether a service account may list Secrets: istiod asks this before it sends one to a gateway.

    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
    """
    user = f"system:serviceaccount:{namespace}:{account}"
    line = kubectl.line(context, "-n", namespace, "auth", "can-i", "list", "secrets", "--as", user)
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "resourceAttributes": {"namespace": namespace, "verb": "list", "resource": "secrets"},
        },
    }

    def ask(api: "Client") -> bool:
        return bool(
            api.kind("authorization.k8s.io/v1", "SubjectAccessReview").create(body=body).status.allowed
        )

    allowed = client.call(context, line, ask)
    command.show(line, "yes" if allowed else "no")
    return allowed


class Answers:
    """What each client is answered at each door: an HTTP status, or "closed"."""

    def __init__(self, doors: Sequence[str], rows: dict[str, list[str]]) -> None:
        self.doors, self.rows = list(doors), rows

    def at(self, door: str) -> list[str]:
        """The answers there, in the order of the clients."""
        return [row[self.doors.index(door)] for row in self.rows.values()]

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()

    def _table(self) -> Table:
        return Table(["client", *self.doors], [[name, *row] for name, row in self.rows.items()])


@folding.step()
def answers(doors: Mapping[str, Sequence[str]], clients: Mapping[str, Sequence[str | Path]]) -> Answers:
    """Let each client call at each door from outside; both are arguments of curl."""
    quiet = ["-so", "/dev/null"]

    def word(words: Sequence[str | Path]) -> str:
        status = curl.outside(*quiet, *words).status
        return str(status) if status else "closed"

    rows = {name: [word([*door, *how]) for door in doors.values()] for name, how in clients.items()}
    return Answers([*doors], rows)
