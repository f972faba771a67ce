"""Kubernetes by kubectl: what runs is what is printed."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers import command, kubeconfig, manifests
from helpers.command import Output
from helpers.errors import CommandFailed, NotYet, TimedOut
from helpers.progress import patiently, until

# What a client says of an API server that does not answer, or not in time: on a busy machine, or in GKE
# while the only control plane of a zonal cluster is upgraded.
# https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-upgrades
_AWAY = re.compile(
    r"connection (refused|reset)|connection to the server .* was refused|\bEOF\b|connection lost"
    r"|(handshake|i/o) timeout|Client\.Timeout|context deadline exceeded|error when reading response body"
    r"|etcdserver: |ServiceUnavailable|currently unable to handle the request"
)
_PATIENCE = 60  # seconds
_NOTEBOOKS = {"eks": "02-deploy-istio-in-eks", "gke": "03-deploy-istio-in-gke"}


def kubectl(
    context: str,
    *args: str,
    check: bool = True,
    show: bool = True,
    give: str | None = None,
    limit: float = 600,
) -> Output:
    """Run kubectl on the cluster of that context and print the command with its answer.

    Raises NotYet where the kubeconfig has no such context, CommandFailed (with `check`), TimedOut.
    """
    argv = ["kubectl", "--context", needed(context), *args]
    # What a program in a pod did is not known when its answer is lost, and done twice may be once too often.
    ask = command.run if "exec" in args else asked
    output = ask(argv, give=give, check=check, limit=limit)
    if show:
        command.show(command.written(argv), output.text + output.errors)
    return output


def asked(
    argv: Sequence[str],
    *,
    give: str | None = None,
    check: bool = True,
    limit: float = 600,
    patience: float = _PATIENCE,
) -> Output:
    """Run kubectl or istioctl, and again for `patience` seconds while the API server is away.

    Then CommandFailed, even without `check`: nobody has answered.
    """

    def once() -> Output:
        output = command.run(argv, give=give, check=False, limit=limit)
        if output.exit_code and (check or _AWAY.search(output.errors)):
            raise CommandFailed(command.written(argv), output.exit_code, output.errors or output.text)
        return output

    away = lambda error: isinstance(error, CommandFailed) and bool(_AWAY.search(error.output))  # noqa: E731
    return patiently(f"the API server, for {argv[0]}", once, away, limit=patience)


def needed(context: str) -> str:
    """The context's name again, when the kubeconfig has it; raises NotYet where not."""
    if not kubeconfig.has(context):
        raise NotYet(f"no cluster {context} in the kubeconfig", _NOTEBOOKS.get(context, "00-introduction"))
    return context


def find(context: str, namespace: str, what: str, notebook: str) -> None:
    """Look for an object such as "virtualservice/vs-lambda"; NotYet names the notebook that makes it."""
    got = kubectl(context, "-n", namespace, "get", what, "-o", "name", check=False, show=False)
    if got.exit_code:
        raise NotYet(f"no {what} in {namespace} ({context})", notebook)


def apply(context: str, path: str, **values: object) -> Output:
    """Apply a manifest by server-side apply, with its ${NAME}s filled in; as often as you like.

    Raises CommandFailed with the API server's words, and TutorialError for a ${NAME} without a value.
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
    sources = " ".join(f"--from-file={key}={command.plain(file)}" for key, file in files.items())
    return _give(context, f"-n {namespace} create secret generic {name} {sources}", body)


def _give(context: str, shown: str, body: dict[str, Any]) -> Output:
    # `create` fails on what exists; so it is said as kubectl's own page has it: create, then apply.
    apply_ = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    output = kubectl(context, *apply_, give=json.dumps(body), show=False)
    line = f"kubectl --context {context} {shown} --dry-run=client -o yaml"
    command.show(f"{line} | kubectl --context {context} {' '.join(apply_)}", output.text)
    return output


def rollout(context: str, namespace: str, workload: str, limit: int = 180) -> Output:
    """Wait until a workload, e.g. "deploy/sleep", is ready; TimedOut says what its pods wait for."""
    words = ("-n", namespace, "rollout", "status", workload, f"--timeout={limit}s")
    output = kubectl(context, *words, check=False, show=False, limit=limit + 60)
    if output.exit_code:
        pods = kubectl(context, "-n", namespace, "get", "pods", check=False, show=False).text
        warnings = ("-n", namespace, "get", "events", "--field-selector=type=Warning")
        events = kubectl(context, *warnings, check=False, show=False).text
        answer = "\n".join(filter(None, (output.errors.strip(), pods.strip(), events.strip())))
        raise TimedOut(f"kubectl rollout status {workload}", answer, f"kubectl -n {namespace} describe pods")
    # How many lines rollout prints before depends on how long it took; the last one says it all.
    command.show(f"kubectl --context {context} {' '.join(words)}", output.text.strip().rpartition("\n")[2])
    return output


def service_address(context: str, namespace: str, service: str, limit: float = 300) -> str:
    """What the cloud gave to a Service of type LoadBalancer: an IP (GKE) or a host name (EKS)."""
    get = ("-n", namespace, "get", "service", service)
    find(context, namespace, f"service/{service}", _NOTEBOOKS.get(context, "00-introduction"))

    def probe() -> str:
        got = kubectl(context, *get, "-o", "json", show=False)
        ingress = json.loads(got.text)["status"]["loadBalancer"].get("ingress") or [{}]
        return ingress[0].get("ip") or ingress[0].get("hostname") or ""

    address = until(
        f"an address for {service}",
        probe,
        bool,
        limit=limit,
        state=lambda _: "pending",
        try_=f"kubectl --context {context} -n {namespace} describe service {service}",
    )
    words = f"get service {service} -o jsonpath='{{.status.loadBalancer.ingress[0]}}'"
    command.show(f"kubectl --context {context} -n {namespace} {words}", address)
    return address


def exec(
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
