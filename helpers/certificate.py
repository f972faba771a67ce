"""The load balancer's certificate in ACM: signed by a private CA of the tutorial's, imported."""

from helpers import aws, certificates
from helpers.errors import NotYet
from helpers.progress import resumed
from helpers.settings import current

NOTEBOOK = "01-create-the-lambda-function"


def find() -> str:
    """The ARN of our certificate for alb.<domain>; raises NotYet."""
    arn = _find()
    if arn is None:
        raise NotYet(f"no certificate for {current().alb_host} in ACM", NOTEBOOK)
    return arn


@resumed
def ensure() -> str:
    """Import the certificate, or import it anew where the file is another one than ACM holds."""
    files = certificates.ensure()
    pem, chain = files.alb_cert.read_bytes(), files.alb_ca.read_bytes()
    arn = _find()
    held = aws.call("acm", "get_certificate", CertificateArn=arn)["Certificate"] if arn else ""
    if arn and held.strip() == pem.decode().strip():
        print(f"Certificate {arn} exists ({current().alb_host})")
        return arn
    # With an ARN the import replaces that certificate, and listeners take it over; tags are refused then.
    again = {"CertificateArn": arn} if arn else {"Tags": aws.tag_list(Name=current().alb_host)}
    arn = aws.call(
        "acm",
        "import_certificate",
        Certificate=pem,
        PrivateKey=files.alb_key.read_bytes(),
        CertificateChain=chain,
        **again,
    )["CertificateArn"]
    aws.said("acm import-certificate --certificate fileb://build/certs/alb.crt …", arn)
    return arn


def _find() -> str | None:
    # Without this filter ACM lists RSA-2048 certificates only.
    kinds = {"keyTypes": ["EC_prime256v1", "RSA_2048"]}
    for summary in aws.items("acm", "list_certificates", "CertificateSummaryList", Includes=kinds):
        arn = summary["CertificateArn"]
        if summary["DomainName"] != current().alb_host:
            continue
        tags = aws.call("acm", "list_tags_for_certificate", CertificateArn=arn)["Tags"]
        if {"Key": "Project", "Value": current().TUTORIAL_NAME} in tags:
            return arn
    return None
