"""Istio with istioctl: install it, show proxies and routes, compare root certificates."""

import base64
import json
import re
from collections.abc import Callable, Sequence

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from helpers import kube
from helpers.base import changes, command
from helpers.base.command import Output
from helpers.base.errors import CommandError, TutorialError
from helpers.base.settings import current
from helpers.base.waiting import retry_while, wait_until
from helpers.clusters import client, kubeconfig, manifests, server_side

# Lowest and highest minor version of Kubernetes that Istio 1.30 supports:
# https://istio.io/latest/docs/releases/supported-releases/
KUBERNETES = ((1, 32), (1, 36))
# What `istioctl install` writes that `manifest generate` does not, and what istiod sets once it is ready:
# https://github.com/istio/istio/blob/1.30.0/manifests/charts/base/templates/defaultrevision-validatingwebhookconfiguration.yaml
_SET_LATER = ("metadata.labels.install.operator.istio.io/", "webhooks[0].failurePolicy")
_IN_SYNC = "istioctl proxy-status shows whether the proxy is in sync with istiod"
# istioctl's messages if an API server does not answer, or not in time.
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
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = 600,
    retry_timeout: float = client.RETRY_TIMEOUT,
) -> Output:
    """Run istioctl; retry for `retry_timeout` seconds while the API server is unavailable.

    Raises CommandError in the end, even without `check`.
    """

    def once() -> Output:
        # Otherwise the reader's ~/.istioctl/config.yaml is used, and ~/.kube/cache is written.
        home = current().TUTORIAL_BUILD_DIR / "home"
        output = command.run(argv, check=False, timeout=timeout, home=home)
        if output.exit_code and (check or _AWAY.search(output.errors)):
            raise CommandError(command.shell_join(argv), output.exit_code, output.errors or output.text)
        return output

    away = lambda error: isinstance(error, CommandError) and bool(_AWAY.search(error.output))  # noqa: E731
    return retry_while("the API server, for istioctl", once, away, timeout=retry_timeout)


def install(context: str, *paths: str, **values: object) -> Output:
    """Install what IstioOperator files describe, the later ones over the first; again, it changes nothing.

    If the settings allow no change, it raises ChangeNeededError for the first object that differs.
    https://istio.io/latest/docs/reference/commands/istioctl/#istioctl-install
    """
    files = [manifests.write(path, context, **values) for path in paths]
    flags = [word for file in files for word in ("-f", str(file))]  # the first has the revision
    argv = ["istioctl", "--context", kubeconfig.require_context(context), "install", "-y", *flags]
    if current().TUTORIAL_READ_ONLY:
        _require_installed(context, command.shell_join(argv), flags)
        command.show_change(command.shell_join(argv), "unchanged")
        return Output("", 0)
    changes.begin(command.shell_join(argv))
    output = _run(argv, timeout=900, retry_timeout=900)
    # Drop istioctl's progress output; keep the lines that say what was done.
    ticks = [line for line in (output.text + output.errors).replace("\r", "\n").splitlines() if "✔" in line]
    command.show_change(command.shell_join(argv), "\n".join(line.strip() for line in ticks))
    return output


def uninstall(context: str) -> None:
    """Remove every installation of Istio from the cluster, with the kinds of its objects.

    https://istio.io/latest/docs/reference/commands/istioctl/#istioctl-uninstall
    """
    argv = ["istioctl", "--context", kubeconfig.require_context(context), "uninstall", "--purge", "-y"]
    changes.begin(command.shell_join(argv))
    _run(argv)
    command.show_change(command.shell_join(argv))


def _require_installed(context: str, line: str, flags: Sequence[str]) -> None:
    """Compare what istioctl would apply with what the cluster has, by dry runs."""
    # Without warnings, which it writes among the objects.
    quiet = ["--log_output_level", "all:error"]
    generated = _run(["istioctl", "manifest", "generate", *flags, *quiet]).text
    for document in yaml.load_all(generated, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if document and (found := server_side.difference(context, line, document, _SET_LATER)):
            changes.begin(f"{line}\n# {found}")


def proxy_status(context: str) -> Output:
    """Every proxy in the mesh and whether it is in sync with istiod."""
    return istioctl(
        context, "proxy-status", "--verbosity", "1", "--revision", current().TUTORIAL_ISTIO_REVISION
    )


def routes(context: str, workload: str, wanted: str, *args: str) -> Output:
    """The routes in an Envoy, e.g. of "deploy/istio-ingressgateway.istio-ingress", once `wanted` is there.

    Changes propagate to proxies within moments; raises TimedOutError after a minute.
    """
    words = ("proxy-config", "routes", workload, *args)
    return _once(f"a route with {wanted} in {workload}", _has(wanted), context, words, 60, _IN_SYNC)


def endpoints(context: str, workload: str, host: str, port: int) -> Output:
    """The addresses that an Envoy has resolved for a host, once there is one.

    If the name was missing when Envoy queried it, Envoy and the resolvers cache that: for a minute
    here, and up to 15 in Route 53; raises TimedOutError after five.
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
    """
    cluster = f"outbound|{port}||{host}"
    hint = f"does DNS know an address of {host}? Resolvers cache a missing name for minutes"
    words = ("proxy-config", "endpoints", workload, "--cluster", cluster, "--status", "healthy")
    return _once(f"an address of {host} in {workload}", _has(cluster), context, words, 300, hint)


def policies(context: str, workload: str, *names: str) -> Output:
    """The AuthorizationPolicies in an Envoy, once they are exactly these, e.g. "only-gke.istio-ingress".

    Raises TimedOutError after a minute.
    https://istio.io/latest/docs/reference/commands/istioctl/#istioctl-experimental-authz-check
    """
    words = ("experimental", "authz", "check", workload)

    def complete(output: Output) -> bool:
        found = [line.split()[1] for line in output.text.splitlines()[1:] if line.split()]
        return set(found) == set(names)

    return _once(f"{', '.join(names) or 'no policy'} in {workload}", complete, context, words, 60, _IN_SYNC)


def secrets(context: str, workload: str) -> dict[str, list[x509.Certificate]]:
    """The certificates in an Envoy, by the name of their secret: chains, and the CAs that it trusts."""
    words = ("proxy-config", "secret", workload, "-o", "json")
    return certificates_in(istioctl(context, *words, show=False).text)


def certificates_in(answer: str) -> dict[str, list[x509.Certificate]]:
    """The certificates in what `istioctl proxy-config secret -o json` prints; none of those not there yet."""
    found = {}
    for each in json.loads(answer)["dynamicActiveSecrets"]:
        secret = each.get("secret", {})
        content = secret.get("tlsCertificate", {}).get("certificateChain")
        content = content or secret.get("validationContext", {}).get("trustedCa", {})
        if pem := base64.b64decode(content.get("inlineBytes", "")):
            found[each["name"]] = x509.load_pem_x509_certificates(pem)
    return found


def certificates(context: str, workload: str, serial: str) -> None:
    """Wait until an Envoy has the certificate with this serial number, and show its line.

    Raises TimedOutError after a minute.
    """
    words = ("proxy-config", "secret", workload)
    what = f"the certificate {serial} in {workload}"
    output = _until(what, _has(serial), context, words, 60, _IN_SYNC)
    lines = [line for line in output.text.splitlines() if serial in line]
    command.show(f"{_line(context, words)} | grep {serial}", "\n".join(lines))


def configured(context: str, workload: str, kind: str, wanted: str, fqdn: str = "") -> None:
    """Wait until an Envoy's "routes" or "clusters" have this text, and show the first line that does.

    With `fqdn`, only the clusters of this host count. Raises TimedOutError after a minute.
    """
    words = _configuration(kind, workload, fqdn)
    output = _until(f"{wanted} in {workload}", _has(wanted), context, words, 60, _IN_SYNC)
    line = next(line.strip() for line in output.text.splitlines() if wanted in line)
    command.show(f"{_line(context, words)} | grep -m 1 '{wanted}'", line)


def not_configured(context: str, workload: str, kind: str, *unwanted: str, fqdn: str = "") -> None:
    """Wait until an Envoy's "routes" or "clusters" no longer have any of these texts.

    With `fqdn`, only the clusters of this host count. Raises TimedOutError after a minute.
    """
    what = f"{', '.join(unwanted)} to be gone from {workload}"
    gone = lambda output: not any(text in output.text for text in unwanted)  # noqa: E731
    _until(what, gone, context, _configuration(kind, workload, fqdn), 60, _IN_SYNC)


def _configuration(kind: str, workload: str, fqdn: str) -> tuple[str, ...]:
    return ("proxy-config", kind, workload, *(("--fqdn", fqdn) if fqdn else ()), "-o", "json")


def _has(wanted: str) -> Callable[[Output], bool]:
    return lambda output: wanted in output.text


def _until(
    what: str, done: Callable[[Output], bool], context: str, words: Sequence[str], timeout: float, hint: str
) -> Output:
    return wait_until(
        what,
        lambda: istioctl(context, *words, show=False),
        done,
        timeout=timeout,
        interval=2,
        state=lambda _: "not there yet",
        hint=hint,
    )


def _once(
    what: str, done: Callable[[Output], bool], context: str, words: Sequence[str], timeout: float, hint: str
) -> Output:
    output = _until(what, done, context, words, timeout, hint)
    command.show(_line(context, words), output.text)
    return output


def _line(context: str, words: Sequence[str]) -> str:
    return command.shell_join(["istioctl", "--context", context, *words])


def analyze(context: str, *args: str) -> Output:
    """The findings of istioctl analyze; its exit code is not an error here."""
    return istioctl(context, "analyze", "--revision", current().TUTORIAL_ISTIO_REVISION, *args, check=False)


def version(context: str) -> str:
    """The version of the control plane that runs there."""
    answer = json.loads(istioctl(context, "version", "-o", "json", show=False).text)
    versions = {mesh["Info"]["version"] for mesh in answer.get("meshVersion") or []}
    return ", ".join(sorted(versions))


def root_fingerprint(context: str) -> str:
    """SHA-256 of the mesh's root certificate, "AB:CD:…"; each istiod creates a root of its own.

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
