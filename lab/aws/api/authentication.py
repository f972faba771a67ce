"""Every call is signed, by somebody whom IAM knows: WSGI middleware."""

import logging
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from lab.aws.api import principals, signatures
from lab.aws.api.call import Call, Unreadable, check, read, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

_UNSIGNED = """<ErrorResponse><Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code>\
<Message>Request is missing Authentication Token</Message></Error></ErrorResponse>"""
_S3 = ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
_EC2 = ("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and its like
_UNKNOWN_KEY = {"json": "UnrecognizedClientException", "rest-json": "UnrecognizedClientException"}
_WRONG_SIGNATURE = {"json": "InvalidSignatureException", "rest-json": "InvalidSignatureException"}


@check
def authenticated(environ: "WSGIEnvironment") -> Response | None:
    """Refuses calls that are not signed, or not rightly."""
    try:
        call = read(environ)
    except Unreadable:
        return None  # the validation says what is wrong
    if call is None:
        return Response(_UNSIGNED, 403, content_type="text/xml")
    principal = principals.find(call.access_key_id)
    if principal is None and call.service == "s3":
        return _refusal(call, *_S3)
    if principal is None:
        code = _UNKNOWN_KEY.get(call.protocol, "InvalidClientTokenId")
        return _refusal(call, code, "The security token included in the request is invalid.")
    try:
        signatures.verify(environ, principal)
    except signatures.WrongSignature as wrong:
        return _refusal(call, _WRONG_SIGNATURE.get(call.protocol, "SignatureDoesNotMatch"), str(wrong))
    return None


def _refusal(call: Call, code: str, message: str) -> Response:
    if call.service == "ec2":
        return refusal(call, *_EC2)
    return refusal(call, code, message, 400 if call.protocol == "json" else 403)
