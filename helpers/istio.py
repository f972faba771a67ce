"""Istio by istioctl: install, look at proxies and routes, compare roots of trust."""

import base64
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from helpers import kube
from helpers.base import changes, command
from helpers.base.command import Output
from helpers.base.errors import CommandError, TutorialError
from helpers.base.settings import current
from helpers.base.waiting import retry_while, wait_until
from helpers.clusters import client, dry_run, kubeconfig, manifests

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

# Lowest and highest minor version of Kubernetes that Istio 1.30 supports:
# https://istio.io/latest/docs/releases/supported-releases/
KUBERNETES = ((1, 32), (1, 36))
_OWNER = "install.operator.istio.io/owning-resource"  # a label that `manifest generate` leaves open
# istiod changes its webhooks (caBundle, failurePolicy); the kinds are many, and nobody edits them.
_NOT_COMPARED = (
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)
# What istioctl says of an API server that does not answer, or not in time.
_AWAY = re.compile(
    r"connection (refused|reset)|connection to the server .* was refused|\bEOF\b|connection lost"
    r"|(handshake|i/o) timeout|Client\.Timeout|context deadline exceeded|error when reading response body"
    r"|etcdserver: |ServiceUnavailable|currently unable to handle the request"
)


def istioctl(context: str, *args: str, check: bool = True, show: bool = True) -> Output:
    """Run istioctl on the cluster of that context and print the command with its answer."""
    argv = ["istioctl", "--context", kubeconfig.require_context(context), *args]
    output = _run(argv, check=check)
    if show:
        command.show(command.shell_join(argv), output.text + output.errors)
    return output


def _run(
    argv: Sequence[str], *, check: bool = True, timeout: float = 600, patience: float = client.PATIENCE
) -> Output:
    """Run istioctl, and again for `patience` seconds while the API server is away.

    Then CommandError, even without `check`: nobody has answered.
    """

    def once() -> Output:
        # Else the reader's ~/.istioctl/config.yaml counts, and ~/.kube/cache is written.
        home = current().TUTORIAL_BUILD_DIR / "home"
        output = command.run(argv, check=False, timeout=timeout, home=home)
        if output.exit_code and (check or _AWAY.search(output.errors)):
            raise CommandError(command.shell_join(argv), output.exit_code, output.errors or output.text)
        return output

    away = lambda error: isinstance(error, CommandError) and bool(_AWAY.search(error.output))  # noqa: E731
    return retry_while("the API server, for istioctl", once, away, timeout=patience)


def install(context: str, path: str, **values: object) -> Output:
    """Install what an IstioOperator file asks for; installing it again changes nothing.

    The revision, the image hub and tag, and further values where set, come from the settings:
    https://istio.io/latest/docs/reference/commands/istioctl/#istioctl-install
    """
    settings = current()
    file = manifests.write(path, context, **values)
    images = [f"hub={settings.TUTORIAL_ISTIO_HUB}", f"tag={settings.TUTORIAL_ISTIO_TAG}"]
    sets = [word for value in [*images, *settings.TUTORIAL_ISTIO_VALUES] for word in ("--set", value)]
    asked = ["-r", settings.TUTORIAL_ISTIO_REVISION, "-f", str(file), *sets]
    argv = ["istioctl", "--context", kubeconfig.require_context(context), "install", "-y", *asked]
    if settings.TUTORIAL_READ_ONLY and not _differs(context, asked):
        return Output("", 0)
    changes.begin(command.shell_join(argv))
    output = _run(argv, timeout=900, patience=900)
    # Drop istioctl's progress output; keep the lines that say what was done.
    ticks = [line for line in (output.text + output.errors).replace("\r", "\n").splitlines() if "✔" in line]
    command.show_change(command.shell_join(argv), "\n".join(line.strip() for line in ticks))
    return output


def uninstall(context: str) -> None:
    """Remove all of Istio's installations from the cluster, the kinds of its objects excepted.

    https://istio.io/latest/docs/reference/commands/istioctl/#istioctl-uninstall
    """
    argv = ["istioctl", "--context", kubeconfig.require_context(context), "uninstall", "--purge", "-y"]
    changes.begin(command.shell_join(argv))
    _run(argv)
    command.show_change(command.shell_join(argv))


def _differs(context: str, asked: Sequence[str]) -> bool:
    """Whether the cluster has anything else than what `istioctl install` with these words would apply."""
    text = _run(["istioctl", "manifest", "generate", *asked]).text
    text = text[text.index("apiVersion:") :]  # istioctl's warnings come first
    documents = [each for each in yaml.safe_load_all(text) if each and each["kind"] not in _NOT_COMPARED]
    for document in documents:
        document["metadata"].get("labels", {}).pop(_OWNER, None)

    def do(api: "Client") -> bool:
        return any(dry_run.differs(api, each, kube.MANAGER) for each in documents)

    return client.call(context, "Comparing Istio's installation", do)


def proxy_status(context: str) -> Output:
    """Every proxy of the mesh and whether it has what istiod knows."""
    return istioctl(
        context, "proxy-status", "--verbosity", "1", "--revision", current().TUTORIAL_ISTIO_REVISION
    )


def routes(context: str, workload: str, wanted: str, *args: str) -> Output:
    """The routes in an Envoy, e.g. of "deploy/istio-ingressgateway.istio-ingress", once `wanted` is there.

    A proxy hears of a change some moments after it was made; raises TimedOutError after a minute.
    """
    hint = "istioctl proxy-status says whether the proxy takes what istiod sends"
    words = ("proxy-config", "routes", workload, *args)
    return _once(f"a route with {wanted} in {workload}", wanted, context, words, 60, hint)


def endpoints(context: str, workload: str, host: str, port: int) -> Output:
    """The addresses that an Envoy has for a port of a host which it looks up itself, once there is one.

    Where the name was missing when Envoy asked, Envoy and the resolvers remember that: for a minute
    here, and up to 15 in Route 53; raises TimedOutError after five.
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
    """
    cluster = f"outbound|{port}||{host}"
    hint = f"does DNS know an address of {host}? A resolver may remember for some minutes that it did not"
    words = ("proxy-config", "endpoints", workload, "--cluster", cluster, "--status", "healthy")
    return _once(f"an address of {host} in {workload}", cluster, context, words, 300, hint)


def _once(what: str, wanted: str, context: str, words: Sequence[str], timeout: float, hint: str) -> Output:
    output = wait_until(
        what,
        lambda: istioctl(context, *words, show=False),
        lambda output: wanted in output.text,
        timeout=timeout,
        interval=2,
        state=lambda _: "not there yet",
        hint=hint,
    )
    command.show(command.shell_join(["istioctl", "--context", context, *words]), output.text)
    return output


def analyze(context: str, *args: str) -> Output:
    """What istioctl finds doubtful in the objects of a cluster; its exit code is not an error here."""
    return istioctl(context, "analyze", "--revision", current().TUTORIAL_ISTIO_REVISION, *args, check=False)


def version(context: str) -> str:
    """The version of the control plane that runs there."""
    answer = json.loads(istioctl(context, "version", "-o", "json", show=False).text)
    versions = {mesh["Info"]["version"] for mesh in answer.get("meshVersion") or []}
    return ", ".join(sorted(versions))


def root_fingerprint(context: str) -> str:
    """SHA-256 of the mesh's root certificate, "AB:CD:…"; each istiod makes a root of its own.

    https://istio.io/latest/docs/concepts/security/#pki
    """
    # With a plugged-in CA there is a Secret cacerts, and the other one does not exist.
    for name, key in (("cacerts", "root-cert.pem"), ("istio-ca-secret", "ca-cert.pem")):
        secret = kube.find(context, "istio-system", f"secret/{name}")
        if secret is None:
            continue
        pem = base64.b64decode(secret.data[key])
        digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
        return digest.hex(":").upper()
    raise TutorialError(
        f"Looking up the root certificate of {context}",
        "istio-system has no Secret istio-ca-secret",
        "install istiod first.",
    )
