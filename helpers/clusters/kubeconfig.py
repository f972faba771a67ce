"""The tutorial's own kubeconfig, with a context for each cluster."""

import copy
import os
from pathlib import Path
from typing import Any

import yaml

from helpers.base import changes, contents
from helpers.base.command import relative, shell_join, show_change
from helpers.base.errors import PrerequisiteError
from helpers.base.settings import current
from helpers.clusters import tokens

_NOTEBOOKS = {context: contents.notebook(context) for context in ("eks", "gke")}  # which creates the cluster


def write(context: str, server: str, ca_data: str, by_hand: str) -> None:
    """Put a cluster, its user and the context into $KUBECONFIG; other entries are kept.

    `ca_data` is base64, as both clouds give it. `by_hand` is the command that the cloud has for it.
    """
    path = current().KUBECONFIG
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    config = copy.deepcopy(before) or {"apiVersion": "v1", "kind": "Config", "current-context": context}
    entries: dict[str, dict[str, Any]] = {
        "cluster": {"server": server, "certificate-authority-data": ca_data},
        "user": {"exec": tokens.plugin(context)},
        "context": {"cluster": context, "user": context},
    }
    for kind, value in entries.items():
        by_name = {entry["name"]: entry for entry in config.get(f"{kind}s") or []}
        by_name[context] = {"name": context, kind: value}  # where it was
        config[f"{kind}s"] = list(by_name.values())
    if config == before or _leads_there(context, entries["cluster"]):
        print(f"{relative(path)} has the context {context}")
        return
    changes.begin(by_hand)
    _save(path, config)
    show_change(by_hand, f"{relative(path)} has the context {context}")


def _leads_there(context: str, cluster: dict[str, Any]) -> bool:
    """Whether the context has entries of another program, such as the AWS CLI, for the same cluster."""
    config = _read()
    name = _named(config, context)["cluster"]
    found = [entry["cluster"] for entry in config.get("clusters") or [] if entry["name"] == name != context]
    return any(entry.items() >= cluster.items() for entry in found)


def has(context: str) -> bool:
    """Whether the kubeconfig has this context."""
    return any(entry["name"] == context for entry in _read().get("contexts") or [])


def require_context(context: str) -> str:
    """The same name if the kubeconfig has this context; raises PrerequisiteError otherwise."""
    if not has(context):
        raise PrerequisiteError(
            f"no cluster {context} in the kubeconfig", _NOTEBOOKS.get(context, "00-introduction")
        )
    return context


def entries(context: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the user of that context; raises PrerequisiteError."""
    require_context(context)
    config = _read()
    named = _named(config, context)
    cluster, user = (
        next(entry[kind] for entry in config[f"{kind}s"] if entry["name"] == named[kind])
        for kind in ("cluster", "user")
    )
    return cluster, user


def _named(config: dict[str, Any], context: str) -> dict[str, str]:
    """The names of a context's cluster and user; `aws eks update-kubeconfig` uses the ARN for both."""
    found = (entry["context"] for entry in config.get("contexts") or [] if entry["name"] == context)
    return next(found, {"cluster": context, "user": context})


def server(context: str) -> str:
    """The URL of the API server of that context; "" if there is none."""
    config = _read()
    name = _named(config, context)["cluster"]
    clusters = [entry for entry in config.get("clusters") or [] if entry["name"] == name]
    return clusters[0]["cluster"]["server"] if clusters else ""


def remove(context: str) -> None:
    """Remove a context with its cluster and user, if it exists.

    The file is deleted with its last entry. A reader's own contexts are kept; none becomes the current one.
    """
    path, config = current().KUBECONFIG, _read()
    names = [entry["name"] for entry in config.get("contexts") or []]
    if context not in names:
        return
    gone = {"context": context} | _named(config, context)
    config_of = ["kubectl", "config", "--kubeconfig", str(path)]
    by_hand = " && ".join(shell_join([*config_of, f"delete-{kind}", name]) for kind, name in gone.items())
    changes.begin(by_hand)
    for kind, name in gone.items():
        config[f"{kind}s"] = [entry for entry in config.get(f"{kind}s") or [] if entry["name"] != name]
    if config.get("current-context") == context:
        config["current-context"] = next(
            (name for name in _NOTEBOOKS if name in names and name != context), ""
        )
    if any(config[f"{kind}s"] for kind in gone):
        _save(path, config)
    else:
        path.unlink()
    show_change(by_hand, f"{relative(path)} has no context {context}")


def _read() -> dict[str, Any]:
    path = current().KUBECONFIG
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def _save(path: Path, config: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    fresh.replace(path)
