"""Kubernetes objects: get, apply, wait, delete. Each prints the kubectl command that does the same."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from helpers.base import changes, command, contents
from helpers.base.command import Output
from helpers.base.errors import ApiError, CommandError, TimedOutError, TutorialError
from helpers.base.waiting import wait_until
from helpers.clusters import client, kubectl, manifests, pods, server_side

if TYPE_CHECKING:
    from helpers.clusters.connection import Client


def get(
    context: str, kind: str, namespace: str = "", *, columns: Mapping[str, str] | None = None
) -> list[Any]:
    """The objects of a kind, e.g. "nodes", in one namespace or in all.

    With `columns`, such as {"NAME": ".metadata.name"}, they are printed as kubectl's custom columns.
    Raises ApiError, UnreachableError.
    """
    words = ["get", kind, *(["-n", namespace] if namespace else [])]
    found = client.call(
        context,
        kubectl.line(context, *words),
        lambda api: api.resource(kind).get(namespace=namespace or None).items,
    )
    if columns:
        rows = [[_cell(each.to_dict(), path) for path in columns.values()] for each in found]
        custom = ",".join(f"{name}:{path}" for name, path in columns.items())
        command.show(
            kubectl.line(context, *words, "-o", f"custom-columns={custom}"), _aligned([[*columns], *rows])
        )
    return found


def _cell(value: Any, path: str) -> str:
    """The value at a path of names, [0] and [*], as in kubectl's custom columns."""
    found = [value]
    for step in re.findall(r"[^.\[\]]+", path):
        if step == "*":
            found = [each for values in found for each in values or ()]
        elif step.isdigit():
            found = [values[int(step)] for values in found if values and len(values) > int(step)]
        else:
            found = [each[step] for each in found if each.get(step) is not None]
    return ",".join(str(each) for each in found) or "<none>"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def find(context: str, namespace: str, what: str) -> Any | None:
    """An object such as "virtualservice/vs-lambda", or None."""
    kind, _, name = what.partition("/")
    line = kubectl.line(context, *(["-n", namespace] if namespace else []), "get", what)
    try:
        return client.call(context, line, lambda api: api.resource(kind).get(name=name, namespace=namespace))
    except ApiError as refused:
        if refused.code not in ("NotFound", "404"):  # 404: its kind was uninstalled meanwhile
            raise
        return None


def pod(context: str, namespace: str, target: str) -> Any:
    """The pod of a workload such as "deploy/sleep" that is not being deleted: a ready one, if any is."""
    line = kubectl.line(context, "-n", namespace, "get", target)
    return client.call(context, line, lambda api: pods.of(api, namespace, target))


def require(context: str, namespace: str, what: str) -> Any:
    """Like `find`; if there is none, PrerequisiteError names the notebook that creates it."""
    missing = f"no {what} in {namespace} ({context})"
    return contents.require(find(context, namespace, what), contents.in_cluster(context, what), missing)


def apply(context: str, path: str, **values: object) -> None:
    """Apply a manifest by server-side apply, with its ${NAME}s filled in; idempotent.

    A field that someone else has changed is reset, so that a second run has the same result as the first.
    Raises ApiError with the API server's message, and TutorialError for a ${NAME} without a value.
    """
    file = manifests.write(path, context, **values)
    line = kubectl.line(context, *server_side.FLAGS, str(file))
    documents = _documents(line, file.read_text(encoding="utf-8"))
    command.show_change(line, server_side.apply(context, line, documents))


def apply_text(context: str, text: str) -> None:
    """Like `apply`, for objects that are in no file yet: one is written, for the command to name."""
    documents = _documents("Applying an object", text)
    name = "-".join(_name(document) for document in documents[:1])
    file = manifests.write_text(f"{name}.yaml", context, text)
    line = kubectl.line(context, *server_side.FLAGS, str(file))
    command.show_change(line, server_side.apply(context, line, documents))


def rejected(context: str, path: str, **values: object) -> str:
    """Apply a manifest that the API server is expected to reject, and show its message.

    Raises TutorialError if it was accepted.
    """
    file = manifests.write(path, context, **values)
    line = kubectl.line(context, *server_side.FLAGS, str(file))
    try:
        server_side.apply(context, line, _documents(line, file.read_text(encoding="utf-8")), retry_timeout=1)
    except ApiError as refused:
        command.show(line, f"Error from server: {refused.answer}")
        return refused.answer
    raise TutorialError(line, "it was accepted")


def namespace(context: str, name: str) -> None:
    """Create the namespace if it is missing."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    _create(context, ["create", "namespace", name], body)


def secret(context: str, namespace: str, name: str, files: dict[str, Path]) -> None:
    """A generic Secret whose keys are the contents of files. Nothing secret is printed."""
    body = {"kind": "Secret", "type": "Opaque", "stringData": _contents(files)}
    _create_from(files, context, ["secret", "generic"], namespace, name, body)


def config_map(context: str, namespace: str, name: str, files: dict[str, Path]) -> None:
    """A ConfigMap whose keys are the contents of files."""
    _create_from(
        files, context, ["configmap"], namespace, name, {"kind": "ConfigMap", "data": _contents(files)}
    )


def _contents(files: dict[str, Path]) -> dict[str, str]:
    return {key: file.read_text(encoding="ascii") for key, file in files.items()}


def _create_from(
    files: dict[str, Path], context: str, kind: list[str], namespace: str, name: str, body: dict[str, Any]
) -> None:
    sources = [f"--from-file={key}={command.relative(file)}" for key, file in files.items()]
    whole = {"apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}, **body}
    _create(context, ["-n", namespace, "create", *kind, name, *sources], whole)


def _create(context: str, words: list[str], body: dict[str, Any]) -> None:
    # `kubectl create` fails if the object exists, so the command shown pipes a dry run into `kubectl apply`.
    line = kubectl.line(context, *words, "--dry-run=client", "-o", "yaml")
    line += " | " + kubectl.line(context, *server_side.FLAGS, "-")
    command.show_change(line, server_side.apply(context, line, [body]))


def _documents(action: str, text: str) -> list[dict[str, Any]]:
    try:
        return [each for each in yaml.safe_load_all(text) if each]
    except yaml.YAMLError as wrong:
        raise TutorialError(action, f"this is not YAML: {wrong}") from None


def _name(document: dict[str, Any]) -> str:
    return f"{document['kind'].lower()}-{document['metadata']['name']}"


def delete(context: str, namespace: str, *objects: str, timeout: float = 300) -> None:
    """Delete objects such as "service/web", if they exist, one after another, and wait until each is gone.

    Raises ApiError, UnreachableError, TimedOutError.
    """
    for what in objects:
        kind, _, name = what.partition("/")
        line = kubectl.line(context, *(["-n", namespace] if namespace else []), "delete", what)
        if find(context, namespace, what) is None:
            continue
        changes.begin(line)
        _delete(context, line, namespace, kind, name)
        gone = partial(find, context, namespace, what)
        wait_until(
            f"{what} to be deleted",
            gone,
            lambda found: found is None,
            timeout=timeout,
            state=lambda _: "still there",
        )
        command.show_change(line, f'{kind} "{name}" deleted')


def _delete(context: str, line: str, namespace: str, kind: str, name: str) -> None:
    def do(api: "Client") -> None:
        api.resource(kind).delete(name=name, namespace=namespace, propagation_policy="Background")

    try:
        client.call(context, line, do)
    except ApiError as refused:
        if refused.code != "NotFound":  # else it was deleted before, and the answer got lost
            raise


def scale(context: str, namespace: str, workload: str, replicas: int) -> None:
    """Set the number of a Deployment's pods, and wait until it has them."""
    line = kubectl.line(context, "-n", namespace, "scale", workload, f"--replicas={replicas}")
    _patch(context, line, namespace, workload, {"spec": {"replicas": replicas}}, "merge")
    command.show_change(line, f"deployment.apps/{workload.partition('/')[2]} scaled")
    rollout(context, namespace, workload)


def restart(context: str, namespace: str, workload: str) -> None:
    """Replace a Deployment's pods one after another, and wait until it is done."""
    line = kubectl.line(context, "-n", namespace, "rollout", "restart", workload)
    annotations = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat(timespec="seconds")}
    body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    _patch(context, line, namespace, workload, body, "merge")
    command.show_change(line, f"deployment.apps/{workload.partition('/')[2]} restarted")
    rollout(context, namespace, workload)


def set_field(context: str, namespace: str, what: str, path: str, value: Any) -> None:
    """Set one field of an object, by its JSON pointer, e.g. "/spec/http/0/timeout".

    https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
    """
    body = [{"op": "add", "path": path, "value": value}]
    line = kubectl.line(context, "-n", namespace, "patch", what, "--type=json", "-p", json.dumps(body))
    _patch(context, line, namespace, what, body, "json")
    command.show_change(line, f"{what} patched")


def _patch(context: str, line: str, namespace: str, what: str, body: Any, kind_of_patch: str) -> None:
    kind, _, name = what.partition("/")
    changes.begin(line)

    def do(api: "Client") -> None:
        content = f"application/{kind_of_patch}-patch+json"
        api.resource(kind).patch(body=body, name=name, namespace=namespace, content_type=content)

    client.call(context, line, do)


def rollout(context: str, namespace: str, workload: str, timeout: int = 180) -> None:
    """Wait until a Deployment, e.g. "deploy/sleep", is ready; TimedOutError has the reason."""
    line = kubectl.line(context, "-n", namespace, "rollout", "status", workload, f"--timeout={timeout}s")
    kind, _, name = workload.partition("/")

    def probe() -> str:
        return client.call(
            context, line, lambda api: _missing(api.resource(kind).get(name=name, namespace=namespace))
        )

    try:
        wait_until(workload, probe, lambda missing: not missing, timeout=timeout, interval=0.5)
    except TimedOutError as late:
        answer = "\n".join([late.answer, *_troubles(context, namespace)])
        hint = kubectl.line(context, "-n", namespace, "describe", "pods")
        raise TimedOutError(f"kubectl rollout status {workload}", answer, hint) from None
    command.show(line, f'deployment "{name}" successfully rolled out')


def _missing(deployment: Any) -> str:
    """What a Deployment still waits for, by the rules of `kubectl rollout status`; "" if it is complete.

    https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
    """
    wanted, status = deployment.spec.replicas or 0, deployment.status
    if (status.observedGeneration or 0) < deployment.metadata.generation:
        return "the change is not observed yet"
    updated, available = status.updatedReplicas or 0, status.availableReplicas or 0
    if updated < wanted:
        return f"{updated} of {wanted} new pods created"
    if (status.replicas or 0) > updated:
        return "old pods still exist"
    return f"{available} of {wanted} pods available" if available < updated else ""


def _troubles(context: str, namespace: str) -> list[str]:
    found = [f"{pod.metadata.name}: {pod.status.phase}" for pod in get(context, "pods", namespace)]
    events = (event for event in get(context, "events", namespace) if event.type == "Warning")
    return found + [f"{event.involvedObject.name}: {event.reason}: {event.message}" for event in events]


def wait_ready(context: str, namespace: str, pod: str, timeout: int = 300) -> None:
    """Wait until a pod is ready; raises TimedOutError."""
    words = ("wait", f"pod/{pod}", "--for=condition=Ready", f"--timeout={timeout}s")
    ready = lambda: is_ready(context, namespace, pod)  # noqa: E731
    hint = kubectl.line(context, "-n", namespace, "describe", "pod", pod)
    wait_until(f"pod/{pod}", ready, bool, timeout=timeout, state=lambda _: "not ready yet", hint=hint)
    command.show(kubectl.line(context, "-n", namespace, *words), f"pod/{pod} condition met")


def wait_for(context: str, namespace: str, what: str, path: str, value: str, timeout: float = 120) -> None:
    """Wait until a field of an object, such as ".spec.type", has this value; raises TimedOutError."""

    def probe() -> str:
        found = find(context, namespace, what)
        return _cell(found.to_dict(), path) if found else "missing"

    wait_until(f"{what}: {path} = {value}", probe, lambda found: found == value, timeout=timeout)
    words = ("-n", namespace, "wait", what, f"--for=jsonpath={{{path}}}={value}", f"--timeout={timeout:g}s")
    command.show(kubectl.line(context, *words), f"{what} condition met")


def is_ready(context: str, namespace: str, pod: str) -> bool:
    """Whether this pod exists and is ready."""
    found = find(context, namespace, f"pods/{pod}")
    return found is not None and pods.is_ready(found)


def service_address(context: str, namespace: str, service: str, timeout: float = 300) -> str:
    """The external address of a Service of type LoadBalancer: an IP (GKE) or a host name (EKS)."""

    def probe() -> tuple[str, str]:
        found = require(context, namespace, f"service/{service}")
        [ingress, *_] = found.status.loadBalancer.ingress or [None]
        given = [(kind, getattr(ingress, kind, None) or "") for kind in ("ip", "hostname")]
        return next((pair for pair in given if pair[1]), ("", ""))

    kind, address = wait_until(
        f"an address for {service}",
        probe,
        lambda found: bool(found[0]),
        timeout=timeout,
        state=lambda _: "pending",
        hint=kubectl.line(context, "-n", namespace, "describe", "service", service),
    )
    # Waits, too: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_wait/
    path = f"{{.status.loadBalancer.ingress[0].{kind}}}"
    words = ["wait", f"service/{service}", f"--for=jsonpath={path}", "-o", f"jsonpath={path}"]
    command.show(kubectl.line(context, "-n", namespace, *words), address)
    return address


def run_in_pod(
    context: str,
    namespace: str,
    target: str,
    *argv: str,
    container: str | None = None,
    check: bool = True,
) -> Output:
    """Run a program in a pod, once, and print the command with its answer.

    Raises ApiError, UnreachableError, TimedOutError and, with `check`, CommandError.
    """
    done = pods.execute(context, namespace, target, argv, container=container)
    output = Output(
        done.stdout.decode(errors="replace"), done.returncode, done.stderr.decode(errors="replace")
    )
    line = command.shell_join([*pods.exec_words(context, namespace, target, container), *argv])
    if check and output.exit_code:
        raise CommandError(line, output.exit_code, output.errors or output.text)
    command.show(line, output.text + output.errors)
    return output
