"""What an HTTP request asks of AWS: the place from which every check in front of moto starts.

A check is WSGI middleware: it calls `read` for what is asked, and either answers with `refusal` or passes the
environ on. `read` parses once per request, and leaves the body to be read again.
"""

import functools
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel, ServiceModel, Shape
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from lab.aws.api import json_types

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_KEY = "lab.aws.call"
_CREDENTIAL = re.compile(r"Credential=([^/,\s&]+)/\d{8}/([^/,\s&]*)/([^/,\s&]+)/aws4_request")
_OLD_ELB = "2012-06-01"  # the classic load balancers' version of an API that is signed with the same name
_MALFORMED = {"query": "MalformedInput", "ec2": "InvalidParameterValue", "rest-xml": "MalformedInput"}
_SIGNED_AS = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}


@dataclass
class Call:
    """One call of an operation that botocore knows."""

    model: OperationModel
    parameters: dict[str, Any]
    region: str
    access_key_id: str
    protocol: str

    @property
    def service(self) -> str:
        """boto3's name of the service, as in `boto3.client(…)`."""
        return str(self.model.service_model.service_name)

    @property
    def operation(self) -> str:
        """As in the API reference: CreateVpc."""
        return str(self.model.name)

    @property
    def action(self) -> str:
        """As IAM's policies mostly write it, ec2:CreateVpc; they say lambda:InvokeFunction for Invoke."""
        return f"{self.model.service_model.signing_name}:{self.operation}"


class Unreadable(Exception):
    """The request names no operation, or its body is not what the protocol wants."""

    def __init__(
        self, service: ServiceModel, protocol: str, code: str, message: str, status: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.model = OperationModel({}, service)
        self.protocol, self.code, self.message, self.status = protocol, code, message, status


def check(
    refuse: "Callable[[WSGIEnvironment], Response | None]",
) -> "Callable[[WSGIApplication], WSGIApplication]":
    """Middleware from a function: what it answers goes to the caller, None lets the call pass."""

    def before(application: "WSGIApplication") -> "WSGIApplication":
        return lambda environ, start: (refuse(environ) or application)(environ, start)

    return functools.update_wrapper(before, refuse)


def read(environ: dict[str, Any]) -> Call | None:
    """What is called; None of what is not signed, or for a service unknown to botocore. Raises Unreadable."""
    if _KEY not in environ:
        environ[_KEY] = _read(environ)
    return environ[_KEY]


def _read(environ: dict[str, Any]) -> Call | None:
    signed = environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", ""))
    credential = _CREDENTIAL.search(signed)
    if credential is None:
        return None
    access_key_id, region, signing_name = credential.groups()
    request = _replayable(environ)
    name = _SIGNED_AS.get(signing_name, signing_name)
    if name == "elbv2" and request.values.get("Version") == _OLD_ELB:
        name = "elb"
    try:
        service = get_service_model(name)
    except UnknownServiceError:  # nothing to hold it against: moto may know it
        return None
    protocol = determine_request_protocol(service, request.content_type)
    try:
        model, uri = get_service_router(name).match(request)
    except NotFound:
        raise _unknown(service, protocol, request) from None
    return Call(model, _parameters(model, protocol, request, uri), region, access_key_id, protocol)


def _replayable(environ: dict[str, Any]) -> Request:
    """The request, with its body kept for the application that is asked next."""
    body = Request(environ).get_data(cache=False, parse_form_data=False)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return Request({**environ, "wsgi.input": io.BytesIO(body)})


def _parameters(
    model: OperationModel, protocol: str, request: Request, uri: dict[str, Any]
) -> dict[str, Any]:
    body = request.get_data(parse_form_data=False) if "json" in protocol or "xml" in protocol else b""
    parts: Any = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": body,
        "url_path": request.path,
        "url_params": uri,
    }
    try:
        if "json" in protocol and model.input_shape:
            _check_json(model.input_shape, body)
        parsed = PROTOCOL_PARSERS[protocol](model).parse(parts)
    except (RequestParserError, ValueError, TypeError, AttributeError) as error:
        code = _MALFORMED.get(protocol, "SerializationException")
        raise Unreadable(model.service_model, protocol, code, str(error)) from error
    return {name: value for name, value in parsed.items() if not _absent(model, name, value)}


def _absent(model: OperationModel, name: str, value: Any) -> bool:
    """The parser gives members of the URL a value in any case."""
    location = model.input_shape.members[name].serialization.get("location")  # type: ignore[union-attr]
    return value is None or (location == "querystring" and value in ([], {}))


def _check_json(shape: Shape, body: bytes) -> None:
    payload = shape.serialization.get("payload")
    body_shape = shape.members[payload] if payload else shape  # type: ignore[attr-defined]
    if body and body_shape.type_name not in (
        "blob",
        "string",
    ):  # those are the caller's own, as in Lambda's Invoke
        json_types.check(body_shape, json.loads(body))


def _unknown(service: ServiceModel, protocol: str, request: Request) -> Unreadable:
    if protocol in ("query", "ec2"):
        action = request.values.get("Action", "")
        return Unreadable(
            service, protocol, "InvalidAction", f"The action {action} is not valid for this web service."
        )
    return Unreadable(service, protocol, "UnknownOperationException", "", 404 if "rest" in protocol else None)


class _Refused(Exception):
    """An error for moto's serializers, which look a class of moto's own up in its service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def refusal(call: Call | Unreadable, code: str, message: str, status: int | None = None) -> Response:
    """The service's own way to say no: its protocol's error document, with the code's HTTP status."""
    request_id = str(uuid4())
    serializer = get_serializer_class(call.model.service_model.service_name, call.protocol)
    context = SerializationContext(request_id)
    answer = serializer(call.model, context=context).serialize(_Refused(code, message))
    headers = {**answer["headers"], "x-amzn-RequestId": request_id}
    return Response(answer["body"], status or int(answer["status_code"]), headers)
