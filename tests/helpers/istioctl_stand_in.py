"""In istioctl's place: what Envoys show once they have the objects on the API server.

`istioctl_stand_in.py LATE …`: the file LATE has how many of the next answers are those of the time before.
"""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECRET = "mtls-credential"
# How Envoy's configuration shows what Istio's objects have.
IN_ENVOY = {'"attempts": ': '"numRetries": ', '"consecutive5xxErrors": ': '"consecutive5xx": '}


def items(context: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
    where = ["-n", namespace] if namespace else ["-A"]
    argv = ["kubectl", "--context", context, "get", kind, *where, "-o", "json"]
    done = subprocess.run(argv, capture_output=True, text=True)
    return json.loads(done.stdout)["items"] if done.returncode == 0 else []


def secrets(context: str, namespace: str, as_json: bool) -> str:
    found = [each for each in items(context, "secrets", namespace) if each["metadata"]["name"] == SECRET]
    if as_json:
        active = []
        for data in (each["data"] for each in found):
            chain = {"tlsCertificate": {"certificateChain": {"inlineBytes": data["cert"]}}}
            trusted = {"validationContext": {"trustedCa": {"inlineBytes": data["cacert"]}}}
            active.append({"name": f"kubernetes://{SECRET}", "secret": chain})
            active.append({"name": f"kubernetes://{SECRET}-cacert", "secret": trusted})
        return json.dumps({"dynamicActiveSecrets": active})
    from cryptography import x509

    lines = ["RESOURCE NAME     TYPE     STATUS     VALID CERT     SERIAL NUMBER"]
    for each in found:
        for key in ("cert", "cacert"):
            for one in x509.load_pem_x509_certificates(base64.b64decode(each["data"][key])):
                lines.append(
                    f"kubernetes://{SECRET}     {key}     ACTIVE     true     {one.serial_number:032x}"
                )
    return "\n".join(lines) + "\n"


def policies(context: str, namespace: str) -> str:
    lines = ["ACTION   AuthorizationPolicy   RULES"]
    for each in items(context, "authorizationpolicies", namespace):
        lines.append(f"ALLOW    {each['metadata']['name']}.{namespace}    1")
    return "\n".join(lines) + "\n"


def configuration(context: str, kind: str, name: str, namespace: str, fqdn: str) -> str:
    if kind == "listeners":
        [labels] = [
            each["metadata"]["labels"]
            for each in items(context, "pods", namespace)
            if each["metadata"]["name"] == name
        ]
        filters = items(context, "envoyfilters", namespace)
        found = [f for f in filters if f["spec"]["workloadSelector"]["labels"].items() <= labels.items()]
    elif kind == "routes":
        found = items(context, "virtualservices")
    else:
        rules = items(context, "destinationrules")
        found = [each for each in rules if fqdn in ("", each["spec"]["host"])]
    text = json.dumps([each["spec"] for each in found], indent=2)
    for ours, envoys in IN_ENVOY.items():
        text = text.replace(ours, envoys)
    return text


def answer(arguments: list[str]) -> str:
    context = arguments[arguments.index("--context") + 1]
    host = arguments[arguments.index("--fqdn") + 1] if "--fqdn" in arguments else ""
    match arguments[2:]:
        case ["experimental", "authz", "check", workload]:
            return policies(context, workload.rpartition(".")[2])
        case ["proxy-config", "secret", workload, *more]:
            return secrets(context, workload.rpartition(".")[2], "json" in more)
        case ["proxy-config", kind, workload, *_]:
            name, _, namespace = workload.rpartition(".")
            return configuration(context, kind, name, namespace, host)
    raise AssertionError(arguments)


def main(late: Path, arguments: list[str]) -> None:
    before = late.with_name(hashlib.sha256(repr(arguments).encode()).hexdigest())
    if (left := int(late.read_text())) > 0:
        late.write_text(str(left - 1))
        empty = '{"dynamicActiveSecrets": []}' if "json" in arguments else "NAME"
        print(before.read_text() if before.exists() else empty)
    else:
        before.write_text(text := answer(arguments))
        print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
