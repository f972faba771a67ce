"""What a server-side apply would change: the API server itself says it, without doing it.

https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

_OF_THE_SERVER = ("managedFields", "resourceVersion", "generation")
_STRICT = ("fieldValidation", "Strict")  # a misspelled field is refused, as kubectl has it


def apply(api: "Client", document: dict[str, Any], manager: str, dry_run: bool = False) -> Any:
    """Apply the object as that field manager; with `dry_run`, only answer what it would be then."""
    metadata = document["metadata"]
    return api.kind(document["apiVersion"], document["kind"]).server_side_apply(
        body=document,
        namespace=metadata.get("namespace", "default"),
        field_manager=manager,
        force_conflicts=True,
        query_params=[_STRICT, *([("dryRun", "All")] if dry_run else [])],
    )


def differs(api: "Client", document: dict[str, Any], manager: str) -> bool:
    """Whether applying the object would change it, or create it."""
    from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError

    metadata = document["metadata"]
    try:
        kind = api.kind(document["apiVersion"], document["kind"])
        there = kind.get(name=metadata["name"], namespace=metadata.get("namespace", "default"))
    except (NotFoundError, ResourceNotFoundError):  # the object, or its kind
        return True
    return _content(there) != _content(apply(api, document, manager, dry_run=True))


def _content(found: Any) -> dict[str, Any]:
    content: dict[str, Any] = found.to_dict()
    content.pop("status", None)
    metadata = content["metadata"]
    return {**content, "metadata": {k: v for k, v in metadata.items() if k not in _OF_THE_SERVER}}
