"""Server-side apply, as `kubectl apply --server-side --force-conflicts` does it.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from helpers.base import changes
from helpers.base.settings import current
from helpers.clusters import client

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

FLAGS = ("apply", "--server-side", "--force-conflicts", "-f")
MANAGER = "istio-multicloud-lambda"  # whose fields an apply sets
# Change with each write; not part of what is applied.
_OF_WRITES = ("metadata.managedFields", "metadata.resourceVersion", "metadata.generation")

Document = dict[str, Any]


def apply(context: str, line: str, documents: Sequence[Document], retry_timeout: float | None = None) -> str:
    """Apply objects; returns what kubectl prints. `line` is kubectl's command, for errors.

    If the settings allow no change, only dry runs are sent. Raises ChangeNeededError, which then
    names the first object that is missing or different; ApiError, UnreachableError.
    """
    if current().TUTORIAL_READ_ONLY:
        for document in documents:
            if found := difference(context, line, document):
                changes.begin(f"{line}\n# {found}")
        return "\n".join(f"{_name(document)} unchanged" for document in documents)
    changes.begin(line)

    def do(api: "Client") -> None:
        for document in documents:
            _send(api, document)

    client.call(context, line, do, retry_timeout)
    return "\n".join(f"{_name(document)} serverside-applied" for document in documents)


def difference(context: str, line: str, document: Document, ignored: Sequence[str] = ()) -> str:
    """What an apply would change, by a dry run: the object, and its first field that differs; "" for nothing.

    `ignored` are paths that do not count, e.g. "spec.replicas".
    """

    def compare(api: "Client") -> str:
        from kubernetes.client.exceptions import ApiException

        kind, metadata = api.kind(document["apiVersion"], document["kind"]), document["metadata"]
        try:
            live = kind.get(name=metadata["name"], namespace=metadata.get("namespace", "default"))
        except ApiException as error:
            if error.status == 404:
                return f"{_name(document)}: missing"
            raise
        wanted = _send(api, document, ("dryRun", "All"))
        paths = _differences(live.to_dict(), wanted.to_dict())
        counted = (path for path in paths if not path.startswith((*_OF_WRITES, *ignored)))
        return next((f"{_name(document)}: {path} differs" for path in counted), "")

    return client.call(context, line, compare)


def _send(api: "Client", document: Document, *query: tuple[str, str]) -> Any:
    kind = api.kind(document["apiVersion"], document["kind"])
    return kind.server_side_apply(
        body=document,
        namespace=document["metadata"].get("namespace", "default"),
        field_manager=MANAGER,
        force_conflicts=True,
        # A misspelled field is refused, as kubectl has it.
        query_params=[("fieldValidation", "Strict"), *query],
    )


def _name(document: Document) -> str:
    """As kubectl writes it: service/web, gateway.networking.istio.io/web."""
    group = document["apiVersion"].rpartition("/")[0]
    kind = document["kind"].lower() + (f".{group}" if group else "")
    return f"{kind}/{document['metadata']['name']}"


def _differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """The paths of what two objects do not have in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            path = f"{at}.{key}" if at else key
            yield from _differences(one.get(key), other.get(key), path)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(*pair, f"{at}[{number}]")
    elif one != other:
        yield at
