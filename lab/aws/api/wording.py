"""How each service words what its model forbids.

Most of AWS's services speak alike: "1 validation error detected: Value 'x' at 'name' failed to satisfy
constraint: …"; only the code differs. EC2 and Route 53's XML have words of their own.
"""

import re
from typing import TYPE_CHECKING, Any

from lab.aws.api.call import Call

if TYPE_CHECKING:
    from lab.aws.api.validation import Violation

# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and its like; where those say
# nothing, what the service has been seen to answer.
_CODES = {
    "eks": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "resourcegroupstaggingapi": "InvalidParameterException",
    "route53": "InvalidInput",
}
_CODES_BY_PROTOCOL = {
    "query": "ValidationError",
    "json": "ValidationException",
    "rest-json": "ValidationException",
    "rest-xml": "ValidationError",
}


def refusal(call: Call, found: list["Violation"]) -> tuple[str, str]:
    """Code and message of the answer to a call with these violations."""
    if call.protocol == "ec2":
        return _ec2(found[0])
    code = _CODES.get(call.service, _CODES_BY_PROTOCOL[call.protocol])
    if call.service == "route53" and "." in found[0].path:
        return code, f"Invalid XML ; {_xml(found[0])}"
    if call.service == "eks" and found[0].constraint == "pattern":
        return code, (
            f"The parameter {found[0].member} contains invalid characters. "
            f'It should conform to the regular expression "{found[0].wanted}"'
        )
    if call.service == "iam" and found[0].constraint == "pattern" and found[0].wanted == r"[\w+=,.@-]+":
        return code, (
            f"The specified value for {_lower(found[0].member)} is invalid. It must contain only "
            "alphanumeric characters and/or the following: +=,.@_-"
        )
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    return code, count + "; ".join(_sentence(violation) for violation in found)


def _sentence(violation: "Violation") -> str:
    value = "null" if violation.value is None else f"'{_shown(violation.value)}'"
    # Lists count from one, and their entries are called `member`.
    path = re.sub(r"\[(\d+)\]", lambda match: f".{int(match[1]) + 1}.member", violation.path)
    path = ".".join(_lower(part) for part in path.split("."))
    return f"Value {value} at '{path}' failed to satisfy constraint: Member must {_must(violation)}"


_MUST = {
    "required": "not be null",
    "type": "be of the type {}",
    "min": "have value greater than or equal to {}",
    "max": "have value less than or equal to {}",
    "length-min": "have length greater than or equal to {}",
    "length-max": "have length less than or equal to {}",
    "pattern": "satisfy regular expression pattern: {}",
    "enum": "satisfy enum value set: [{}]",
}


def _must(violation: "Violation") -> str:
    wanted = violation.wanted
    return _MUST[violation.constraint].format(", ".join(wanted) if isinstance(wanted, list) else wanted)


def _ec2(violation: "Violation") -> tuple[str, str]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    member = _lower(violation.member)
    if violation.constraint == "required":
        return "MissingParameter", f"The request must contain the parameter {member}"
    return "InvalidParameterValue", f"Value ({_shown(violation.value)}) for parameter {member} is invalid."


def _xml(violation: "Violation") -> str:
    """Route 53 checks bodies by an XML schema."""
    value, wanted, member = violation.value, violation.wanted, violation.member
    if violation.constraint == "required":
        return f"cvc-complex-type.2.4.b: The content is not complete. One of '{{{member}}}' is expected."
    if violation.constraint == "enum":
        values = ", ".join(wanted)
        return (
            f"cvc-enumeration-valid: Value '{value}' is not facet-valid with respect to enumeration "
            f"'[{values}]'. It must be a value from the enumeration."
        )
    facet = {"length-max": "maxLength", "length-min": "minLength", "max": "maxInclusive"}
    name = facet.get(violation.constraint, "minInclusive")
    length = f" with length = '{len(value)}'" if isinstance(value, str) else ""
    return (
        f"cvc-{name}-valid: Value '{value}'{length} is not facet-valid with respect to {name} "
        f"'{wanted}' for type '{member}'."
    )


def _shown(value: Any) -> str:
    return f"java.nio.HeapByteBuffer[{len(value)}]" if isinstance(value, bytes) else str(value)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
