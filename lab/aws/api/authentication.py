"""Every call must be signed with an access key that IAM knows."""

from lab.aws.api import principals, signatures
from lab.aws.api.call import Call, Refusal

_S3 = ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
_EC2 = ("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and its like
_UNKNOWN_KEY = {"json": "UnrecognizedClientException", "rest-json": "UnrecognizedClientException"}
_WRONG_SIGNATURE = {"json": "InvalidSignatureException", "rest-json": "InvalidSignatureException"}


def authenticated(call: Call) -> Refusal | None:
    """Refuses calls with unknown keys or wrong signatures."""
    principal = principals.find(call.access_key_id)
    if principal is None and call.service == "s3":
        return _refusal(call, *_S3)
    if principal is None:
        code = _UNKNOWN_KEY.get(call.protocol, "InvalidClientTokenId")
        return _refusal(call, code, "The security token included in the request is invalid.")
    try:
        signatures.verify(call.environ, principal)
    except signatures.SignatureError as wrong:
        return _refusal(call, _WRONG_SIGNATURE.get(call.protocol, "SignatureDoesNotMatch"), str(wrong))
    return None


def _refusal(call: Call, code: str, message: str) -> Refusal:
    if call.service == "ec2":
        return Refusal(*_EC2)
    return Refusal(code, message, 400 if call.protocol == "json" else 403)
