"""Kubernetes by kubectl: what runs is what is printed."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.base import command, contents
from helpers.base.command import Output
from helpers.base.errors import CommandError, PrerequisiteError, TimedOutError
from helpers.base.waiting import retry_while, wait_until
from helpers.clusters import kubeconfig, manifests

# What a client says of an API server that does not answer, or not in time: on a busy machine, or in GKE
# while the only control plane of a zonal cluster is upgraded.
# https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-upgrades
_AWAY = re.compile(
    r"connection (refused|reset)|connection to the server .* was refused|\bEOF\b|connection lost"
    r"|(handshake|i/o) timeout|Client\.Timeout|context deadline exceeded|error when reading response body"
    r"|etcdserver: |ServiceUnavailable|currently unable to handle the request"
)
_PATIENCE = 60  # seconds
_NOTEBOOKS = {context: contents.notebook(context) for context in ("eks", "gke")}


def kubectl(
    context: str,
    *args: str,
    check: bool = True,
    show: bool = True,
    input: str | None = None,
    timeout: float = 600,
) -> Output:
    """Run kubectl on the cluster of that context and print the command with its answer.

    Raises PrerequisiteError for an unknown context, CommandError (with `check`), TimedOutError.
    """
    argv = ["kubectl", "--context", require_context(context), *args]
    # What a program in a pod did is not known when its answer is lost, and done twice may be once too often.
    ask = command.run if "exec" in args else run_when_reachable
    output = ask(argv, input=input, check=check, timeout=timeout)
    if show:
        command.show(command.shell_join(argv), output.text + output.errors)
    return output


def run_when_reachable(
    argv: Sequence[str],
    *,
    input: str | None = None,
    check: bool = True,
    timeout: float = 600,
    patience: float = _PATIENCE,
) -> Output:
    """Run kubectl or istioctl, and again for `patience` seconds while the API server is away.

    Then CommandError, even without `check`: nobody has answered.
    """

    def once() -> Output:
        output = command.run(argv, input=input, check=False, timeout=timeout)
        if output.exit_code and (check or _AWAY.search(output.errors)):
            raise CommandError(command.shell_join(argv), output.exit_code, output.errors or output.text)
        return output

    away = lambda error: isinstance(error, CommandError) and bool(_AWAY.search(error.output))  # noqa: E731
    return retry_while(f"the API server, for {argv[0]}", once, away, timeout=patience)


def require_context(context: str) -> str:
    """The context's name again, when the kubeconfig has it; raises PrerequisiteError where not."""
    if not kubeconfig.has(context):
        raise PrerequisiteError(
            f"no cluster {context} in the kubeconfig", _NOTEBOOKS.get(context, "00-introduction")
        )
    return context


def find(context: str, namespace: str, what: str, notebook: str) -> None:
    """Look for an object such as "virtualservice/vs-lambda"; PrerequisiteError names its notebook."""
    got = kubectl(context, "-n", namespace, "get", what, "-o", "name", check=False, show=False)
    if got.exit_code:
        raise PrerequisiteError(f"no {what} in {namespace} ({context})", notebook)


def apply(context: str, path: str, **values: object) -> Output:
    """Apply a manifest by server-side apply, with its ${NAME}s filled in; as often as you like.

    Raises CommandError with the API server's words, and TutorialError for a ${NAME} without a value.
    """
    file = manifests.written(path, context, **values)
    # A field that somebody else set since is taken back, so that a second run ends as the first did.
    return kubectl(context, "apply", "--server-side", "--force-conflicts", "-f", str(file))


def namespace(context: str, name: str, **labels: str) -> Output:
    """Make the namespace where it is missing."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    return _give(context, f"create namespace {name}", body)


def secret(context: str, namespace: str, name: str, files: dict[str, Path]) -> Output:
    """A generic Secret whose keys are the contents of files. Nothing secret is printed."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": {key: file.read_text(encoding="ascii") for key, file in files.items()},
    }
    sources = " ".join(f"--from-file={key}={command.relative(file)}" for key, file in files.items())
    return _give(context, f"-n {namespace} create secret generic {name} {sources}", body)


def _give(context: str, shown: str, body: dict[str, Any]) -> Output:
    # `create` fails on what exists; so it is said as kubectl's own page has it: create, then apply.
    apply_ = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    output = kubectl(context, *apply_, input=json.dumps(body), show=False)
    line = f"kubectl --context {context} {shown} --dry-run=client -o yaml"
    command.show(f"{line} | kubectl --context {context} {' '.join(apply_)}", output.text)
    return output


def rollout(context: str, namespace: str, workload: str, timeout: int = 180) -> Output:
    """Wait until a workload, e.g. "deploy/sleep", is ready; TimedOutError says what its pods wait for."""
    words = ("-n", namespace, "rollout", "status", workload, f"--timeout={timeout}s")
    output = kubectl(context, *words, check=False, show=False, timeout=timeout + 60)
    if output.exit_code:
        pods = kubectl(context, "-n", namespace, "get", "pods", check=False, show=False).text
        warnings = ("-n", namespace, "get", "events", "--field-selector=type=Warning")
        events = kubectl(context, *warnings, check=False, show=False).text
        answer = "\n".join(filter(None, (output.errors.strip(), pods.strip(), events.strip())))
        raise TimedOutError(
            f"kubectl rollout status {workload}", answer, f"kubectl -n {namespace} describe pods"
        )
    # How many lines rollout prints before depends on how long it took; the last one says it all.
    command.show(f"kubectl --context {context} {' '.join(words)}", output.text.strip().rpartition("\n")[2])
    return output


def service_address(context: str, namespace: str, service: str, timeout: float = 300) -> str:
    """What the cloud gave to a Service of type LoadBalancer: an IP (GKE) or a host name (EKS)."""
    get = ("-n", namespace, "get", "service", service)
    find(context, namespace, f"service/{service}", _NOTEBOOKS.get(context, "00-introduction"))

    def probe() -> str:
        got = kubectl(context, *get, "-o", "json", show=False)
        ingress = json.loads(got.text)["status"]["loadBalancer"].get("ingress") or [{}]
        return ingress[0].get("ip") or ingress[0].get("hostname") or ""

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
    context: str, namespace: str, target: str, *argv: str, container: str | None = None, check: bool = True
) -> Output:
    """Run a program in a pod and print the command with its answer."""
    return kubectl(context, *exec_words(namespace, target, container), *argv, check=check)


def exec_words(namespace: str, target: str, container: str | None = None) -> list[str]:
    """The words between `kubectl --context …` and the program to run in a pod."""
    chosen = ["-c", container] if container else []
    return ["exec", "-n", namespace, target, *chosen, "--"]


def logs(context: str, namespace: str, target: str, container: str | None = None, since: str = "10m") -> str:
    """A container's log of the last while; not printed."""
    chosen = ["-c", container] if container else []
    return kubectl(
        context, "logs", "-n", namespace, target, *chosen, f"--since={since}", "--tail=-1", show=False
    ).text
