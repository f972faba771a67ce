"""Kubernetes: look, apply, wait, delete. Each prints the kubectl command that does the same."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from helpers.base import changes, command, contents
from helpers.base.command import Output
from helpers.base.errors import ApiError, CommandError, TimedOutError, TutorialError
from helpers.base.settings import current
from helpers.base.waiting import wait_until
from helpers.clusters import client, dry_run, manifests, pods

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

MANAGER = "istio-multicloud-lambda"  # whose fields an apply sets
_APPLY = "apply --server-side --force-conflicts -f"


def get(
    context: str, kind: str, namespace: str = "", *, columns: Mapping[str, str] | None = None
) -> list[Any]:
    """The objects of a kind, e.g. "nodes", in one namespace or in all.

    With `columns`, such as {"NAME": ".metadata.name"}, they are printed as kubectl's custom columns.
    Raises ApiError, UnreachableError.
    """
    words = ["get", kind, *(["-n", namespace] if namespace else [])]
    found = client.call(
        context, _line(context, *words), lambda api: api.resource(kind).get(namespace=namespace or None).items
    )
    if columns:
        rows = [[_cell(each.to_dict(), path) for path in columns.values()] for each in found]
        custom = ",".join(f"{name}:{path}" for name, path in columns.items())
        command.show(_line(context, *words, "-o", f"custom-columns={custom}"), _aligned([[*columns], *rows]))
    return found


def _cell(value: Any, path: str) -> str:
    """What is at a path of names, [0] and [*], as kubectl's custom columns have it."""
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
    line = _line(context, *(["-n", namespace] if namespace else []), "get", what)
    try:
        return client.call(context, line, lambda api: api.resource(kind).get(name=name, namespace=namespace))
    except ApiError as refused:
        if refused.code != "NotFound":
            raise
        return None


def require(context: str, namespace: str, what: str) -> Any:
    """Like `find`; where there is none, PrerequisiteError names the notebook that makes it."""
    missing = f"no {what} in {namespace} ({context})"
    return contents.require(find(context, namespace, what), contents.in_cluster(context, what), missing)


def apply(context: str, path: str, **values: object) -> None:
    """Apply a manifest by server-side apply, with its ${NAME}s filled in; as often as you like.

    A field that somebody else set since is taken back, so that a second run ends as the first did.
    Raises ApiError with the API server's words, and TutorialError for a ${NAME} without a value.
    """
    file = manifests.write(path, context, **values)
    line = _line(context, *_APPLY.split(), str(file))
    command.show_change(line, _applied(context, line, file.read_text(encoding="utf-8")))


def apply_text(context: str, text: str) -> None:
    """Like `apply`, for objects that are in no file."""
    line = _line(context, *_APPLY.split(), "-")
    command.show_change(line, _applied(context, line, text))


def namespace(context: str, name: str, **labels: str) -> None:
    """Make the namespace where it is missing."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    _create(context, f"create namespace {name}", body)


def secret(context: str, namespace: str, name: str, files: dict[str, Path]) -> None:
    """A generic Secret whose keys are the contents of files. Nothing secret is printed."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": {key: file.read_text(encoding="ascii") for key, file in files.items()},
    }
    sources = " ".join(f"--from-file={key}={command.relative(file)}" for key, file in files.items())
    _create(context, f"-n {namespace} create secret generic {name} {sources}", body)


def _create(context: str, words: str, body: dict[str, Any]) -> None:
    # `kubectl create` fails on what exists; so it is shown as kubectl's own page has it: create, then apply.
    line = f"kubectl --context {context} {words} --dry-run=client -o yaml"
    applied = _applied(context, line, json.dumps(body))
    command.show_change(f"{line} | kubectl --context {context} {_APPLY} -", applied)


def _applied(context: str, line: str, text: str) -> str:
    try:
        documents = [each for each in yaml.safe_load_all(text) if each]
    except yaml.YAMLError as wrong:
        raise TutorialError(line, f"this is no YAML: {wrong}") from None

    def do(api: "Client") -> str:
        if current().TUTORIAL_READ_ONLY and not any(
            dry_run.differs(api, each, MANAGER) for each in documents
        ):
            return ""
        changes.begin(line)
        return "\n".join(_apply_one(api, each) for each in documents)

    return client.call(context, line, do)


def _apply_one(api: "Client", document: dict[str, Any]) -> str:
    dry_run.apply(api, document, MANAGER)
    kind = api.kind(document["apiVersion"], document["kind"])
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.kind.lower()}{group}/{document['metadata']['name']} serverside-applied"


def delete(context: str, namespace: str, what: str, timeout: float = 300) -> None:
    """Delete an object such as "service/web" and wait until it is gone; fine when there is none.

    Raises ApiError, UnreachableError, TimedOutError.
    """
    kind, _, name = what.partition("/")
    line = _line(context, *(["-n", namespace] if namespace else []), "delete", what)

    def do(api: "Client") -> None:
        changes.begin(line)
        api.resource(kind).delete(name=name, namespace=namespace, propagation_policy="Background")

    try:
        client.call(context, line, do)
    except ApiError as refused:
        if refused.code != "NotFound":
            raise
    gone = lambda: find(context, namespace, what) is None  # noqa: E731
    wait_until(f"{what} to go", gone, bool, timeout=timeout, state=lambda _: "still there")
    command.show_change(line, f'{kind} "{name}" deleted')


def rollout(context: str, namespace: str, workload: str, timeout: int = 180) -> None:
    """Wait until a Deployment, e.g. "deploy/sleep", is ready; TimedOutError says what its pods wait for."""
    line = _line(context, "-n", namespace, "rollout", "status", workload, f"--timeout={timeout}s")
    kind, _, name = workload.partition("/")

    def probe() -> str:
        return client.call(
            context, line, lambda api: _missing(api.resource(kind).get(name=name, namespace=namespace))
        )

    try:
        wait_until(workload, probe, lambda missing: not missing, timeout=timeout, interval=0.5)
    except TimedOutError as late:
        answer = "\n".join([late.answer, *_troubles(context, namespace)])
        hint = f"kubectl --context {context} -n {namespace} describe pods"
        raise TimedOutError(f"kubectl rollout status {workload}", answer, hint) from None
    command.show(line, f'deployment "{name}" successfully rolled out')


def _missing(deployment: Any) -> str:
    """What a Deployment still waits for, by the rules of `kubectl rollout status`; "" when it is through.

    https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
    """
    wanted, status = deployment.spec.replicas or 0, deployment.status
    if (status.observedGeneration or 0) < deployment.metadata.generation:
        return "the change is not seen yet"
    updated, available = status.updatedReplicas or 0, status.availableReplicas or 0
    if updated < wanted:
        return f"{updated} of {wanted} new pods made"
    if (status.replicas or 0) > updated:
        return "old pods are still there"
    return f"{available} of {wanted} pods available" if available < updated else ""


def _troubles(context: str, namespace: str) -> list[str]:
    found = [f"{pod.metadata.name}: {pod.status.phase}" for pod in get(context, "pods", namespace)]
    events = (event for event in get(context, "events", namespace) if event.type == "Warning")
    return found + [f"{event.involvedObject.name}: {event.reason}: {event.message}" for event in events]


def wait_ready(context: str, namespace: str, pod: str, timeout: int = 300) -> None:
    """Wait until a pod is ready; raises TimedOutError."""
    words = ("wait", f"pod/{pod}", "--for=condition=Ready", f"--timeout={timeout}s")
    ready = lambda: is_ready(context, namespace, pod)  # noqa: E731
    hint = f"kubectl --context {context} -n {namespace} describe pod {pod}"
    wait_until(f"pod/{pod}", ready, bool, timeout=timeout, state=lambda _: "not ready yet", hint=hint)
    command.show(_line(context, "-n", namespace, *words), f"pod/{pod} condition met")


def is_ready(context: str, namespace: str, pod: str) -> bool:
    """Whether there is such a pod and it is ready."""
    found = find(context, namespace, f"pods/{pod}")
    return found is not None and pods.is_ready(found)


def service_address(context: str, namespace: str, service: str, timeout: float = 300) -> str:
    """What the cloud gave to a Service of type LoadBalancer: an IP (GKE) or a host name (EKS)."""

    def probe() -> str:
        found = require(context, namespace, f"service/{service}")
        [ingress, *_] = found.status.loadBalancer.ingress or [None]
        return (ingress.ip or ingress.hostname) if ingress else ""

    address = wait_until(
        f"an address for {service}",
        probe,
        bool,
        timeout=timeout,
        state=lambda _: "pending",
        hint=f"kubectl --context {context} -n {namespace} describe service {service}",
    )
    words = f"get service {service} -o jsonpath='{{.status.loadBalancer.ingress[0]}}'"
    command.show(f"kubectl --context {context} -n {namespace} {words}", address)
    return address


def run_in_pod(
    context: str,
    namespace: str,
    target: str,
    *argv: str,
    container: str | None = None,
    input: str | None = None,
    check: bool = True,
) -> Output:
    """Run a program in a pod, once, and print the command with its answer.

    Raises ApiError, UnreachableError, TimedOutError and, with `check`, CommandError.
    """
    done = pods.execute(context, namespace, target, argv, container=container, input=input)
    output = Output(
        done.stdout.decode(errors="replace"), done.returncode, done.stderr.decode(errors="replace")
    )
    line = command.shell_join(
        [*pods.exec_words(context, namespace, target, container, input is not None), *argv]
    )
    if check and output.exit_code:
        raise CommandError(line, output.exit_code, output.errors or output.text)
    command.show(line, output.text + output.errors)
    return output


def _line(context: str, *words: str) -> str:
    return command.shell_join(["kubectl", "--context", context, *words])
