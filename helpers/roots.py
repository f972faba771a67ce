"""One offline root for both meshes: its intermediates, what a mesh signs with, and what its proxies have."""

import base64
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from helpers import istio, kube
from helpers.base import changes, command, folding
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import kubectl

_DAYS = {0: 365, 1: 3650}  # of an intermediate, and of the root
_SKEW = datetime.timedelta(minutes=5)  # clocks of clusters differ a little


@dataclass(frozen=True)
class Issuer:
    """A CA: the files with its certificate, its key, and the certificate of the root that it chains to."""

    certificate: Path
    key: Path
    root: Path

    def _ipython_display_(self) -> None: ...


@dataclass(frozen=True)
class Proxy:
    """A workload's Envoy, e.g. of "deploy/sleep.sleep"."""

    context: str
    workload: str

    def secrets(self) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
        """The chain that it presents, and the roots that it trusts."""
        words = ("proxy-config", "secret", self.workload, "-o", "json")
        return parse(istio.istioctl(self.context, *words, show=False).text)


def parse(answer: str) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """The chain and the roots in what `istioctl proxy-config secret -o json` prints; empty if not there."""
    found = {each["name"]: each.get("secret", {}) for each in json.loads(answer)["dynamicActiveSecrets"]}
    chain = found.get("default", {}).get("tlsCertificate", {}).get("certificateChain", {})
    roots = found.get("ROOTCA", {}).get("validationContext", {}).get("trustedCa", {})
    pair = [base64.b64decode(each.get("inlineBytes", "")) for each in (chain, roots)]
    chain_of, trusted = (x509.load_pem_x509_certificates(pem) if pem else [] for pem in pair)
    return chain_of, trusted


def root() -> Issuer:
    """A new root. In earnest, its key is kept offline: it only signs intermediates."""
    return _issue("root-ca", "Offline root", None)


def intermediate(context: str, above: Issuer) -> Issuer:
    """A new CA for one mesh, signed by the root."""
    return _issue(f"{context}-ca", f"Mesh CA of {context.upper()}", above)


def own(context: str) -> Issuer:
    """The CA that istiod made for itself, in files."""
    path, key_path = _file(f"{context}-own"), _file(f"{context}-own", "key")
    data = kube.require(context, "istio-system", "secret/istio-ca-secret").data
    for file, key in ((path, "ca-cert.pem"), (key_path, "ca-key.pem")):
        field = "{.data." + key.replace(".", r"\.") + "}"
        words = ("-n", "istio-system", "get", "secret", "istio-ca-secret", "-o", f"jsonpath={field}")
        line = f"{kubectl.line(context, *words)} | base64 -d > {command.relative(file)}"
        _save(line, {file: base64.b64decode(data[key])})
    return Issuer(path, key_path, path)


def plug_in(context: str, issuer: Issuer, *trusted: Issuer) -> None:
    """What istiod signs with, and the roots that the mesh trusts: the Secret `cacerts`.

    https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/
    """
    files = {"ca-cert.pem": issuer.certificate, "ca-key.pem": issuer.key}
    chain = dict.fromkeys((issuer.certificate, issuer.root))
    files["cert-chain.pem"] = _joined(f"{context}-chain", *chain)
    files["root-cert.pem"] = _joined(f"{context}-roots", *(each.root for each in trusted))
    kube.secret(context, "istio-system", "cacerts", files)


def wait(
    proxies: Sequence[Proxy], issuers: Mapping[str, Issuer], *trusted: Issuer, timeout: float = 240
) -> None:
    """Until each proxy has a certificate from its mesh's issuer, and trusts exactly these roots."""
    wanted = {_read(each.root) for each in trusted}

    def late() -> list[str]:
        return [each.workload for each in proxies if not _has(each, issuers[each.context], wanted)]

    hint = "istioctl proxy-config secret shows what a proxy has; istiod's log, why"
    done = lambda left: not left  # noqa: E731
    wait_until("new certificates and roots", late, done, timeout=timeout, state=", ".join, hint=hint)
    print(
        "All proxies have certificates from", _names([_read(each.certificate) for each in issuers.values()])
    )
    print("and trust", _names(_read(each.root) for each in trusted))


def _has(proxy: Proxy, issuer: Issuer, wanted: set[x509.Certificate]) -> bool:
    chain, roots = proxy.secrets()
    if not chain or set(roots) != wanted:
        return False
    try:
        chain[0].verify_directly_issued_by(_read(issuer.certificate))
    except (ValueError, InvalidSignature):  # another name, or another key
        return False
    return True


def table(proxies: Sequence[Proxy]) -> Table:
    """The identity that each proxy presents, who signed it, and the roots that it trusts."""
    rows = []
    for proxy in proxies:
        chain, roots = proxy.secrets()
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        [identity] = names.get_values_for_type(x509.UniformResourceIdentifier)
        signers = " ← ".join(dict.fromkeys(_name(each.issuer) for each in chain))
        rows.append((proxy.context, identity, signers, _names(roots)))
    return Table(("mesh", "identity", "signed by", "trusts"), rows)


def delete() -> None:
    """Delete all files of this module, where they exist."""
    files = sorted(_file("root-ca").parent.glob("*.*"))
    if files:
        changes.begin(line := command.shell_join(["rm", "-r", files[0].parent]))
        for file in files:
            file.unlink()
        files[0].parent.rmdir()
        command.show_change(line)


def _names(certificates: Iterable[x509.Certificate]) -> str:
    return ", ".join(sorted({_name(each.subject) for each in certificates}))


def _name(name: x509.Name) -> str:
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else name.rfc4514_string()


def _file(name: str, kind: str = "crt") -> Path:
    return current().TUTORIAL_BUILD_DIR / "certs" / "roots" / f"{name}.{kind}"


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _save(line: str, files: dict[Path, bytes]) -> None:
    """Write what the command would write; keys are for their owner's eyes only."""
    changes.begin(line)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
    command.show_change(line)


def _joined(name: str, *paths: Path) -> Path:
    target = _file(name)
    words = " ".join(command.relative(path) for path in paths)
    content = b"".join(path.read_bytes() for path in paths)
    _save(f"cat {words} > {command.relative(target)}", {target: content})
    return target


def _issue(name: str, common_name: str, above: Issuer | None) -> Issuer:
    path, key_path, depth = _file(name), _file(name, "key"), 0 if above else 1
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = (
        x509.CertificateBuilder(_read(above.certificate).subject if above else subject, subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=_DAYS[depth]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signer = load_pem_private_key(above.key.read_bytes(), None) if above else key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    signed = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issuer = Issuer(path, key_path, above.root if above else path)
    _save(_openssl(issuer, common_name, depth, above), {path: signed, key_path: private})
    return issuer


def _openssl(issuer: Issuer, common_name: str, depth: int, above: Issuer | None) -> str:
    """The command that does the same, with OpenSSL 3: https://docs.openssl.org/3.0/man1/openssl-req/"""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    words += ["-days", str(_DAYS[depth]), "-subj", f"/CN={common_name}"]
    words += ["-CA", str(above.certificate), "-CAkey", str(above.key)] if above else []
    words += ["-addext", f"basicConstraints=critical,CA:true,pathlen:{depth}"]
    words += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    return command.shell_join([*words, "-keyout", issuer.key, "-out", issuer.certificate])


def restart(context: str, trusted: Sequence[Issuer], *workloads: str) -> None:
    """Restart istiod; once the mesh's namespaces have these roots, workloads such as "deploy/sleep.sleep"."""
    kube.restart(context, "istio-system", f"deploy/istiod-{current().TUTORIAL_ISTIO_REVISION}")
    namespaces = [workload.rpartition(".")[2] for workload in workloads]
    wanted = {_read(each.root) for each in trusted}

    def published() -> bool:
        found = [kube.find(context, each, "configmap/istio-ca-root-cert") for each in namespaces]
        pems = [each.data["root-cert.pem"].encode() if each else b"" for each in found]
        return all(pem and set(x509.load_pem_x509_certificates(pem)) == wanted for pem in pems)

    wait_until("the roots in each namespace", published, bool, timeout=180, state=lambda _: "not there yet")
    for workload in workloads:
        name, _, namespace = workload.rpartition(".")
        kube.restart(context, namespace, name)


@folding.step()
def prepare(workloads: Mapping[str, Sequence[str]], own_of: Mapping[str, Issuer]) -> None:
    """Each mesh has its own CA as a plugged-in one, roots that can change, and a trust domain of its own."""
    for context, names in workloads.items():
        plug_in(context, own_of[context], own_of[context])
        istio.install(context, "manifests/mesh/one-root.yaml", TRUST_DOMAIN=f"{context}.example")
        restart(context, [own_of[context]], *names)
        wait([Proxy(context, name) for name in names], {context: own_of[context]}, own_of[context])


@folding.step()
def phase(
    proxies: Sequence[Proxy], issuers: Mapping[str, Issuer], trusted: Mapping[str, Sequence[Issuer]]
) -> None:
    """Plug in each mesh's issuer and roots, and wait until its proxies have the result."""
    for context, issuer in issuers.items():
        plug_in(context, issuer, *trusted[context])
        wait([each for each in proxies if each.context == context], {context: issuer}, *trusted[context])


@folding.step()
def undo(workloads: Mapping[str, Sequence[str]]) -> None:
    """Both meshes have the CA that istiod made, and the control plane of notebooks 2 and 3, again."""
    for context, names in workloads.items():
        kube.delete(context, "istio-system", "secret/cacerts")
        istio.install(context, "manifests/mesh/control-plane.yaml")
        restart(context, [own(context)], *names)
    delete()
