"""In front of moto: a call is parsed once, then each check may refuse it."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from moto.core.serialize import SerializationContext, get_serializer_class
from werkzeug.wrappers import Response

from lab.aws.api.call import Call, MalformedRequestError, Refusal, UnsupportedServiceError, read
from lab.aws.api.offered import unoffered

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Check = Callable[[Call], Refusal | None]

_XML = "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"
_UNSIGNED = ("MissingAuthenticationToken", "Request is missing Authentication Token")
# moto also serves its own endpoints, whatever a request is signed for: its state, its settings, a reset.
_MOTOS_OWN = ("/moto-api", "/favicon.ico", "/latest/")
_NOT_OFFERED = "UnsupportedOperation"  # with status 400: SDKs retry after a 501


def offered(call: Call) -> Refusal | None:
    """Refuses what offered.toml does not list."""
    found = unoffered(call.service, call.operation, call.parameters, call.model.idempotent_members)
    return Refusal(_NOT_OFFERED, _sentence(found), 400) if found else None


def _sentence(what: str) -> str:
    return f"The lab does not offer {what}: see lab/aws/api/offered.toml."


class Front:
    """WSGI middleware: passes calls to the application, unless a check refuses them."""

    def __init__(self, application: "WSGIApplication", checks: Sequence[Check]) -> None:
        self._application, self._checks = application, checks

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return (self._refused(environ) or self._application)(environ, start_response)

    def _refused(self, environ: "WSGIEnvironment") -> Response | None:
        try:
            call = read(environ)
        except UnsupportedServiceError as other:
            return _other_service(_sentence(str(other)), environ.get("CONTENT_TYPE", ""))
        except MalformedRequestError as unreadable:
            return _response(unreadable, unreadable.refusal)
        if call is None:
            return Response(_XML.format(*_UNSIGNED), 403, content_type="text/xml")
        if environ["PATH_INFO"].startswith(_MOTOS_OWN):
            return _other_service(_sentence(environ["PATH_INFO"]), "x-www-form-urlencoded")
        for check in self._checks:
            if refusal := check(call):
                return _response(call, refusal)
        return None


class _Error(Exception):
    """For moto's serializers, which look up a class of moto's own in its service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _response(call: Call | MalformedRequestError, refusal: Refusal) -> Response:
    """The service's error format: its protocol's document, with the code's HTTP status."""
    request_id = str(uuid4())
    serializer = get_serializer_class(call.model.service_model.service_name, call.protocol)
    answer = serializer(call.model, context=SerializationContext(request_id)).serialize(
        _Error(refusal.code, refusal.message)
    )
    headers = {**answer["headers"], "x-amzn-RequestId": request_id}
    return Response(answer["body"], refusal.status or int(answer["status_code"]), headers)


def _other_service(sentence: str, content_type: str) -> Response:
    """In the format of most of AWS's protocols, as no service model is read for it."""
    if "x-www-form-urlencoded" in content_type:
        return Response(_XML.format(_NOT_OFFERED, sentence), 400, content_type="text/xml")
    if "cbor" in content_type:
        pairs = ("__type", _NOT_OFFERED, "message", sentence)
        body = b"\xa2" + b"".join(bytes([0x78, len(text)]) + text.encode() for text in pairs)
        return Response(body, 400, {"smithy-protocol": "rpc-v2-cbor"}, content_type="application/cbor")
    document = json.dumps({"__type": _NOT_OFFERED, "message": sentence})
    headers = {"x-amzn-errortype": _NOT_OFFERED}
    return Response(document, 400, headers, content_type="application/x-amz-json-1.1")
