"""The workloads of Istio's pages, with the lab's images: sleep, httpbin in two versions, and gateways."""

import json
from typing import Any

import yaml

from lab import images, pki
from tests.conformance.mesh import NAMESPACE

SLEEP = ["sh", "-c", "exec sleep infinity"]
# A second and a third port for TCP: one that the Service declares, and one that it does not.
TCP = ["sh", "-c", "cd /tmp && echo 9001 >index.html && httpd -p 9001 && exec httpd -f -p 9002"]
CERTIFICATES = "/etc/certificates"  # in sidecars, gateways and httpbin


def namespace(revision: str) -> str:
    return _text({"apiVersion": "v1", "kind": "Namespace", "metadata": _meta(NAMESPACE, revision=revision)})


def secret(name: str, **files: bytes | str) -> str:
    """A Secret with these files; in their names, _ stands for a dot."""
    data = {
        file.replace("_", "."): text if isinstance(text, str) else text.decode()
        for file, text in files.items()
    }
    return _text({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def tls_secret(name: str, pair: pki.KeyPair, ca: pki.KeyPair | None = None) -> str:
    files = {"tls_crt": pair.certificate, "tls_key": pair.key}
    return secret(name, **files, **({"ca_crt": ca.certificate} if ca else {}))


def sleep(name: str = "sleep", mesh: bool = True) -> str:
    """A client; without `mesh` it has no sidecar."""
    labels = {} if mesh else {"sidecar.istio.io/inject": "false"}
    mounted = _mounted("client-certs")
    annotations = {
        "sidecar.istio.io/userVolume": json.dumps([mounted[0]]),
        "sidecar.istio.io/userVolumeMount": json.dumps([mounted[1]]),
    }
    container = {"name": name, "image": images.CURL, "command": SLEEP}
    return _deployment(name, [container], labels=labels, annotations=annotations if mesh else {})


def httpbin(version: str) -> str:
    """HTTP on 8080, HTTPS on 8443, TCP on 9000 and, in a second container, on 9001 and 9002."""
    volume, mount = _mounted("nginx-server-certs")
    files = {"CERT": "tls.crt", "KEY": "tls.key"}
    env = [{"name": "NAME", "value": version}]
    env += [{"name": name, "value": f"{CERTIFICATES}/{file}"} for name, file in files.items()]
    containers: list[dict[str, Any]] = [
        {"name": "httpbin", "image": images.SERVER, "env": env, "volumeMounts": [mount]},
        {"name": "tcp", "image": images.CURL, "command": TCP},
    ]
    return _deployment(
        f"httpbin-{version}", containers, labels={"app": "httpbin", "version": version},
        account="httpbin", volumes=[volume],
    )  # fmt: skip


def service(name: str, selector: dict[str, str], ports: dict[str, tuple[int, int]], **spec: Any) -> str:
    """`ports`: name → port, target port."""
    listed = [{"name": name, "port": port, "targetPort": target} for name, (port, target) in ports.items()]
    annotations = spec.pop("annotations", {})
    metadata = {"name": name, "annotations": annotations}
    return _text(
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata,
         "spec": {"selector": selector, "ports": listed, **spec}}
    )  # fmt: skip


def gateway(name: str, config: dict[str, Any] | None = None) -> str:
    """A gateway by injection, which may read the namespace's Secrets.

    https://istio.io/latest/docs/setup/additional-setup/gateway/
    """
    volume, mount = _mounted("client-certs")
    annotations = {"inject.istio.io/templates": "gateway"}
    if config:
        annotations["proxy.istio.io/config"] = json.dumps(config)
    container = {"name": "istio-proxy", "image": "auto", "volumeMounts": [mount]}
    deployment = _deployment(
        f"istio-{name}", [container], labels={"istio": f"conformance-{name}"},
        annotations=annotations, account=name, volumes=[volume],
    )  # fmt: skip
    return "\n---\n".join([deployment, may_read_secrets(name)])


def may_read_secrets(account: str) -> str:
    api, name = "rbac.authorization.k8s.io", f"{account}-secrets"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }  # fmt: skip
    return "\n---\n".join(map(_text, (role, binding)))


def _deployment(
    name: str,
    containers: list[dict[str, Any]],
    labels: dict[str, str],
    annotations: dict[str, str] | None = None,
    account: str = "",
    volumes: list[dict[str, Any]] | None = None,
) -> str:
    labels = {"app": name, **labels}
    account = account or name
    pod = {
        "serviceAccountName": account, "terminationGracePeriodSeconds": 0,
        "containers": containers, "volumes": volumes or [],
    }  # fmt: skip
    template = {"metadata": {"labels": labels, "annotations": annotations or {}}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return "\n---\n".join([
        _text({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}),
        _text({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}),
    ])  # fmt: skip


def _mounted(secret: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Pod's volume and a container's mount for that Secret."""
    return (
        {"name": secret, "secret": {"secretName": secret}},
        {"name": secret, "mountPath": CERTIFICATES, "readOnly": True},
    )


def _meta(name: str, revision: str) -> dict[str, Any]:
    return {"name": name, "labels": {"istio.io/rev": revision}}


def _text(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
