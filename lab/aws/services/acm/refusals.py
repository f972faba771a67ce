"""ACM."""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto.acm.exceptions import AWSValidationException
from moto.acm.models import CertBundle
from moto.core.exceptions import AWSError


def request_certificate(algorithm: str | None) -> None:
    """A limit of the lab."""
    if algorithm not in (None, "RSA_2048", "EC_prime256v1"):
        raise AWSValidationException(f"The lab does not offer certificates with keys of {algorithm}.")


def import_certificate(bundle: CertBundle, arn: str | None, tags: Any) -> None:
    """https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html"""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if bundle._key.public_key().public_bytes(*form) != bundle._cert.public_key().public_bytes(*form):
        raise AWSValidationException("The private key does not match the certificate.")
    if arn and tags:
        raise AWSValidationException(
            "You cannot add tags when you reimport a certificate. Use AddTagsToCertificate."
        )


def delete_certificate(bundle: CertBundle, account_id: str) -> None:
    if bundle.in_use_by:
        raise AWSError(
            f"Certificate {bundle.arn} in account {account_id} is in use.", "ResourceInUseException", 400
        )
