"""ACM: imports are checked, certificates in use are not deleted, and DNS validation checks Route 53."""

import time
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from lab import pki
from lab.aws import delays
from lab.aws.api.call import given
from lab.aws.context import LabBackend
from lab.aws.services.acm import refusals

_DAYS = 198  # https://docs.aws.amazon.com/acm/latest/userguide/acm-concepts.html
_LISTED = ["RSA_1024", "RSA_2048"]  # the default of key types


class Certificates(LabBackend, AWSCertificateManagerBackend):
    """All certificates of a region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._found: dict[str, float] = {}  # since when all of a certificate's records exist

    def request_certificate(self, *args: Any, **kwargs: Any) -> str:
        refusals.request_certificate(given().get("KeyAlgorithm"))
        arn = super().request_certificate(*args, **kwargs)
        _use_key(self._certificates[arn])
        return arn

    def import_certificate(
        self, certificate: bytes, private_key: bytes, chain: bytes | None, arn: str | None, tags: Any
    ) -> str:
        bundle = CertBundle(self.account_id, certificate, private_key, chain=chain, region=self.region_name)
        refusals.import_certificate(bundle, arn, tags)
        former = self._certificates.get(arn or "")
        arn = super().import_certificate(certificate, private_key, chain, arn, tags)
        self._certificates[arn].chain = chain or b""  # moto adds Amazon's own root
        if former:
            self._certificates[arn].tags.update(former.tags)
        return arn

    def get_certificate(self, arn: str) -> CertBundle:
        known = self._certificates.get(arn)
        if known and known.status == "PENDING_VALIDATION":
            self._validate(known)
        bundle = super().get_certificate(arn)
        if bundle.status == "ISSUED" and bundle.type == "AMAZON_ISSUED":
            self._issue(bundle)
        bundle.in_use_by = self._users(arn)
        return bundle

    def list_certificates(self, statuses: list[str], includes: dict[str, Any] | None) -> Iterable[CertBundle]:
        """https://docs.aws.amazon.com/acm/latest/APIReference/API_ListCertificates.html has the default."""
        return super().list_certificates(statuses, {"keyTypes": _LISTED, **(includes or {})})

    def delete_certificate(self, arn: str) -> None:
        refusals.delete_certificate(self.get_certificate(arn), self.account_id)
        super().delete_certificate(arn)

    def _users(self, arn: str) -> list[str]:
        """The load balancers with a listener that uses this certificate."""
        balancers = list(elbv2_backends[self.account_id][self.region_name].load_balancers.values())
        return [
            balancer.arn
            for balancer in balancers
            if any(arn in listener.certificates for listener in list(balancer.listeners.values()))
        ]

    def _issue(self, bundle: CertBundle) -> None:
        """Replaces moto's certificate, whose issuer does not exist, with one that clients can verify."""
        authority = self.context.certificate_authority
        root = authority.pair.certificate
        if bundle.chain != root:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, bundle.common_name)])
            key = bundle._key.public_key()
            bundle._cert = authority.sign(subject, key, pki.SERVER, bundle.sans, _DAYS)
            bundle.cert, bundle.chain = bundle._cert.public_bytes(Encoding.PEM), root
            bundle.issuer_common_name = authority.name

    def _validate(self, bundle: CertBundle) -> None:
        """ISSUED once all CNAME records that ACM requires are in a public zone; moto issues earlier.

        https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
        """
        zones = list(route53_backends[self.account_id]["aws"].zones.values())
        present = {
            (rrset.name.rstrip("."), value.rstrip("."))
            for zone in zones
            if not zone.private_zone
            for rrset in list(zone.rrsets)
            if rrset.type == "CNAME"
            for value in rrset.records
        }
        options = bundle.describe()["Certificate"]["DomainValidationOptions"]
        if not all("ResourceRecord" in option for option in options):
            return
        records = [option["ResourceRecord"] for option in options]
        wanted = {(record["Name"].rstrip("."), record["Value"].rstrip(".")) for record in records}
        if not wanted <= present:
            self._found.pop(bundle.arn, None)
        elif time.monotonic() - self._found.setdefault(bundle.arn, time.monotonic()) >= delays.CERTIFICATE:
            bundle.status = "ISSUED"


def _use_key(bundle: CertBundle) -> None:
    """A key of the requested algorithm; moto's are always RSA_2048."""
    if given().get("KeyAlgorithm") == "EC_prime256v1":
        bundle._key = ec.generate_private_key(ec.SECP256R1())
        bundle.key = bundle._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
