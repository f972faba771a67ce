"""One offline root for both meshes: its intermediates, what a mesh signs with, and what its proxies have."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from helpers import istio, kube, pki
from helpers.base import changes, command, files, folding
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import kubectl, pods
from helpers.curl import Pod
from helpers.pictures import chain_picture
from helpers.pictures.svg import Picture
from helpers.proxies import GATEWAYS

_CONTROL_PLANE, _ONE_ROOT = "manifests/mesh/control-plane.yaml", "manifests/mesh/one-root.yaml"
_PROXY = "istio-proxy"
_FOLDER = "roots"  # in the one with the certificates
_OWN, _TRUSTED = "default", "ROOTCA"  # an Envoy's secrets: the chain that it presents; the roots


@dataclass(frozen=True)
class Issuer:
    """A CA: the files with its certificate, its key, and the certificate of the root that it chains to."""

    certificate: Path
    key: Path
    root: Path

    def _ipython_display_(self) -> None: ...


def root() -> Issuer:
    """A new root. In production, keep its key offline: it signs only intermediates."""
    certificate = pki.new_ca(f"{_FOLDER}/root-ca", "Offline root", below=1)
    return Issuer(certificate, certificate.with_suffix(".key"), certificate)


def intermediate(context: str, above: Issuer) -> Issuer:
    """A new CA for one mesh, signed by the root."""
    signer = f"{_FOLDER}/{above.certificate.stem}"
    certificate = pki.new_ca(f"{_FOLDER}/{context}-ca", f"Mesh CA of {context.upper()}", signer=signer)
    return Issuer(certificate, certificate.with_suffix(".key"), above.root)


def own(context: str) -> Issuer:
    """The CA that istiod made for itself, in files."""
    path, data = _file(f"{context}-own"), kube.require(context, "istio-system", "secret/istio-ca-secret").data
    for file, key in ((path, "ca-cert.pem"), (path.with_suffix(".key"), "ca-key.pem")):
        field = "{.data." + key.replace(".", r"\.") + "}"
        words = ("-n", "istio-system", "get", "secret", "istio-ca-secret", "-o", f"jsonpath={field}")
        line = f"{kubectl.line(context, *words)} | base64 -d > {command.relative(file)}"
        changes.begin(line)
        files.write(file, base64.b64decode(data[key]), 0o600)
        command.show_change(line)
    return Issuer(path, path.with_suffix(".key"), path)


def plug_in(context: str, issuer: Issuer, *trusted: Issuer, revoked: Sequence[Path] = ()) -> None:
    """What istiod signs with, the roots that the mesh trusts, and revocation lists: the Secret `cacerts`.

    With any list, Envoy requires one of each CA in a chain.

    https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/
    """
    parts = {"ca-cert.pem": issuer.certificate, "ca-key.pem": issuer.key}
    chain = dict.fromkeys((issuer.certificate, issuer.root))
    parts["cert-chain.pem"] = pki.bundle(f"{_FOLDER}/{context}-chain", *chain)
    parts["root-cert.pem"] = pki.bundle(f"{_FOLDER}/{context}-roots", *(each.root for each in trusted))
    if revoked:
        parts["ca-crl.pem"] = pki.bundle(f"{_FOLDER}/{context}-revoked", *revoked)
    kube.secret(context, "istio-system", "cacerts", parts)


def wait_for_lists(proxy: Pod, revoked: Sequence[Path]) -> None:
    """Until the pod of this proxy has these revocation lists; Kubernetes needs up to about a minute."""
    words = ["cat", "/var/run/secrets/istio/crl/ca-crl.pem"]
    line = command.shell_join([*pods.exec_words(*proxy, _PROXY), *words])
    wait_until(
        f"the revocation lists in the pod of {proxy.target}",
        lambda: pods.execute(*proxy, words, container=_PROXY).stdout,
        lambda found: found == b"".join(each.read_bytes() for each in revoked),
        timeout=180,
        interval=2,
        state=lambda found: f"{found.count(b'BEGIN X509 CRL')} lists",
    )
    command.show(f"{line} | grep -c BEGIN", f"{len(revoked)}")


def wait(
    proxies: Sequence[Pod], issuers: Mapping[str, Issuer], *trusted: Issuer, timeout: float = 240
) -> None:
    """Until each proxy has a certificate from its mesh's issuer, and trusts exactly these roots."""
    wanted = {pki.read(each.root) for each in trusted}

    def late() -> list[str]:
        return [each.workload for each in proxies if not _has(each, issuers[each.context], wanted)]

    hint = "istioctl proxy-config secret shows what a proxy has; istiod's log, why"
    done = lambda left: not left  # noqa: E731
    wait_until("new certificates and roots", late, done, timeout=timeout, state=", ".join, hint=hint)
    signers = _names(pki.read(each.certificate) for each in issuers.values())
    command.show(f"# All proxies have certificates from {signers}")
    command.show(f"# and trust {_names(pki.read(each.root) for each in trusted)}")


def _has(proxy: Pod, issuer: Issuer, wanted: set[x509.Certificate]) -> bool:
    found = istio.secrets(proxy.context, proxy.workload)
    if _OWN not in found or set(found.get(_TRUSTED, ())) != wanted:
        return False
    try:
        found[_OWN][0].verify_directly_issued_by(pki.read(issuer.certificate))
    except (ValueError, InvalidSignature):  # another name, or another key
        return False
    return True


def table(proxies: Sequence[Pod]) -> Table:
    """The identity that each proxy presents, who signed it, and the roots that it trusts."""
    rows = []
    for proxy in proxies:
        found = istio.secrets(proxy.context, proxy.workload)
        chain, roots = found[_OWN], found[_TRUSTED]
        signers = " ← ".join(dict.fromkeys(_name(each.issuer) for each in chain))
        rows.append((proxy.context, _identity(chain[0]), signers, _names(roots)))
    return Table(("mesh", "identity", "signed by", "trusts"), rows)


def picture(proxies: Sequence[Pod], title: str, path: str = "") -> Picture:
    """The chains that these proxies present, up to the roots that they trust."""
    found = []
    for proxy in proxies:
        secrets = istio.secrets(proxy.context, proxy.workload)
        chain = [each for each in secrets[_OWN] if each.issuer != each.subject]
        top = next(each for each in secrets[_TRUSTED] if each.subject == chain[-1].issuer)
        named = [(top, _name(top.subject)), *((each, _name(each.subject)) for each in reversed(chain[1:]))]
        named.append((chain[0], _identity(chain[0])))
        certificates = tuple(
            chain_picture.Certificate(each.fingerprint(hashes.SHA256()).hex(), name) for each, name in named
        )
        found.append(chain_picture.Chain(proxy.context, certificates))
    return chain_picture.chains(found, title, path)


def delete() -> None:
    """Delete all files of this module, where they exist."""
    files.delete(_file("root-ca").parent)


def _identity(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [identity] = names.get_values_for_type(x509.UniformResourceIdentifier)
    return str(identity)


def _names(certificates: Iterable[x509.Certificate]) -> str:
    return ", ".join(sorted({_name(each.subject) for each in certificates}))


def _name(name: x509.Name) -> str:
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else name.rfc4514_string()


def _file(name: str) -> Path:
    return current().TUTORIAL_BUILD_DIR / "certs" / _FOLDER / f"{name}.crt"


def restart(context: str, trusted: Sequence[Issuer], *workloads: Pod) -> None:
    """Restart istiod; once the namespaces have these roots, the pods of these workloads, too."""
    kube.restart(context, "istio-system", f"deploy/istiod-{current().TUTORIAL_ISTIO_REVISION}")
    wanted = {pki.read(each.root) for each in trusted}
    namespaces = {each.namespace for each in (GATEWAYS[context], *workloads)}

    def published() -> bool:
        found = [kube.find(context, each, "configmap/istio-ca-root-cert") for each in namespaces]
        pems = [each.data["root-cert.pem"].encode() if each else b"" for each in found]
        return all(pem and set(x509.load_pem_x509_certificates(pem)) == wanted for pem in pems)

    wait_until("the roots in each namespace", published, bool, timeout=180, state=lambda _: "not there yet")
    for workload in workloads:
        kube.restart(*workload)


@folding.step()
def prepare(workloads: Mapping[str, Sequence[Pod]], own_of: Mapping[str, Issuer]) -> None:
    """Each mesh has its own CA as a plugged-in one, roots that can change, and a trust domain of its own."""
    for context, its in workloads.items():
        plug_in(context, own_of[context], own_of[context])
        istio.install(context, _CONTROL_PLANE, _ONE_ROOT, TRUST_DOMAIN=f"{context}.example")
        restart(context, [own_of[context]], *its)
        wait(its, {context: own_of[context]}, own_of[context])


@folding.step()
def phase(
    proxies: Sequence[Pod], issuers: Mapping[str, Issuer], trusted: Mapping[str, Sequence[Issuer]]
) -> None:
    """Plug in each mesh's issuer and roots, and wait until its proxies have the result."""
    for context, issuer in issuers.items():
        plug_in(context, issuer, *trusted[context])
        wait([each for each in proxies if each.context == context], {context: issuer}, *trusted[context])


@folding.step()
def undo(workloads: Mapping[str, Sequence[Pod]]) -> None:
    """Both meshes have the CA that istiod made, and the control plane of notebooks 2 and 3, again."""
    for context, its in workloads.items():
        kube.delete(context, "istio-system", "secret/cacerts")
        istio.install(context, _CONTROL_PLANE)
        restart(context, [own(context)], *its)
    delete()
