"""The load balancer's certificate in ACM: imported from a private CA, or issued for the reader's domain.

TUTORIAL_CERTIFICATE says which. In both cases `pki.ensure().alb_ca` is what verifies it.
"""

from typing import Any

from helpers import aws, pki
from helpers.aws import deletion, route53
from helpers.base import contents, folding
from helpers.base.errors import TutorialError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, wait_until

_ISSUE_LIMIT = 1800  # seconds; ACM says up to 30 minutes, usually two or three
_TYPES = {"private-ca": "IMPORTED", "acm": "AMAZON_ISSUED"}


def get() -> str:
    """The ARN of our certificate for alb.<domain>; raises PrerequisiteError if there is none."""
    return contents.require(find(), "certificate", f"no certificate for {current().alb_host} in ACM")


def find() -> str | None:
    """The ARN of our certificate for alb.<domain>, of the type in TUTORIAL_CERTIFICATE, or None."""
    wanted = _TYPES[current().TUTORIAL_CERTIFICATE]
    for summary in _listed():
        arn = summary["CertificateArn"]
        if summary["DomainName"] == current().alb_host and _describe(arn)["Type"] == wanted and _is_ours(arn):
            return arn
    return None


@folding.step()
@resume_after_lost_answer
def ensure() -> str:
    """The certificate's ARN: imported, or requested, validated by DNS and issued."""
    return {"private-ca": _ensure_imported, "acm": _ensure_issued}[current().TUTORIAL_CERTIFICATE]()


def delete() -> None:
    """Delete the tutorial's certificates, whatever their domain; waits while a listener uses one."""
    for resource in leftovers():
        deletion.delete("acm", "delete_certificate", CertificateArn=resource.name)


def leftovers() -> list[Resource]:
    """The tutorial's certificates, whatever their domain."""
    arns = [summary["CertificateArn"] for summary in _listed()]
    return [Resource("AWS", "certificate", arn) for arn in arns if _is_ours(arn)]


def validation_names() -> set[str]:
    """Names of the validation records of the tutorial's certificates that no other certificate needs.

    All certificates of an account for the same name share one validation record.
    """
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for summary in _listed():
        arn, hosts = summary["CertificateArn"], summary.get("SubjectAlternativeNameSummaries", [])
        if current().alb_host in (summary["DomainName"], *hosts):
            options = _describe(arn).get("DomainValidationOptions", [])
            records = [option["ResourceRecord"] for option in options if "ResourceRecord" in option]
            names[_is_ours(arn)].update(record["Name"].rstrip(".") for record in records)
    return names[True] - names[False]


def _ensure_imported() -> str:
    """Import the certificate, or import it again if the file differs from the one in ACM."""
    files = pki.ensure()
    arn = find()
    held = aws.call("acm", "get_certificate", CertificateArn=arn)["Certificate"] if arn else ""
    if arn and held.strip() == files.alb_cert.read_text().strip():
        print(f"Certificate {arn} exists ({current().alb_host})")
        return arn
    # With an ARN, the import replaces that certificate, and listeners use the new one. Tags are not allowed.
    again = {"CertificateArn": arn} if arn else {"Tags": aws.tag_list(Name=current().alb_host)}
    return aws.change(
        "acm",
        "import_certificate",
        show="CertificateArn",
        Certificate=files.alb_cert,
        PrivateKey=files.alb_key,
        CertificateChain=files.alb_ca,
        **again,
    )["CertificateArn"]


def _ensure_issued() -> str:
    """Request a certificate, prove control of the domain with a record in its zone, and wait.

    https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
    """
    arn, host = find(), current().alb_host
    if arn is None:
        arn = aws.change(
            "acm",
            "request_certificate",
            show="CertificateArn",
            DomainName=host,
            ValidationMethod="DNS",
            KeyAlgorithm="EC_prime256v1",
            Tags=aws.tag_list(Name=host),
        )["CertificateArn"]
    elif _describe(arn)["Status"] == "ISSUED":
        print(f"Certificate {arn} exists ({host})")
        return arn
    _validate(arn)
    found = wait_until(
        f"ACM to issue {host}",
        lambda: _describe(arn),
        lambda now: now["Status"] != "PENDING_VALIDATION",
        timeout=_ISSUE_LIMIT,
        interval=3,
        state=lambda now: now["Status"],
        hint=f"delegate {current().TUTORIAL_DOMAIN} at its registrar to the zone's name servers: "
        f"dig NS {current().TUTORIAL_DOMAIN}",
    )
    if found["Status"] != "ISSUED":
        answer = f"its status is {found['Status']} {found.get('FailureReason', '')}".strip()
        raise TutorialError(f"Having ACM issue {host}", answer, "run 99-clean-up, then start again.")
    aws.waited("acm", "certificate_validated", CertificateArn=arn)
    return arn


def _validate(arn: str) -> None:
    """Write ACM's validation record into the domain's zone."""
    option = wait_until(
        "the validation record of ACM",
        lambda: _describe(arn).get("DomainValidationOptions", [{}])[0],
        lambda option: "ResourceRecord" in option,  # ACM returns it a few seconds after the request
        timeout=120,
        state=lambda _: "not there yet",
    )
    wanted = option["ResourceRecord"]
    record = {"Name": wanted["Name"], "Type": wanted["Type"], "TTL": 300}
    route53.upsert(
        route53.ensure(), {**record, "ResourceRecords": [{"Value": wanted["Value"]}]}, "validation"
    )


def _describe(arn: str) -> dict[str, Any]:
    return aws.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]


def _listed() -> list[dict[str, Any]]:
    # Without this filter ACM lists RSA-2048 certificates only.
    kinds = {"keyTypes": ["EC_prime256v1", "RSA_2048"]}
    return aws.list_all("acm", "list_certificates", "CertificateSummaryList", Includes=kinds)


def _is_ours(arn: str) -> bool:
    tags = aws.call("acm", "list_tags_for_certificate", CertificateArn=arn)["Tags"]
    return {"Key": "Project", "Value": current().TUTORIAL_NAME} in tags
