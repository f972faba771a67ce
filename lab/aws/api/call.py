"""Parses an HTTP request to AWS into a Call, the input of every check before moto (front.py).

`read` parses once per request and keeps the body readable.
"""

import io
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from flask import has_request_context, request
from moto.core.model import OperationModel, ServiceModel, Shape
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

from lab.aws.api import json_types, offered

_KEY = "lab.aws.call"
_CREDENTIAL = re.compile(r"Credential=([^/,\s&]+)/\d{8}/([^/,\s&]*)/([^/,\s&]+)/aws4_request")
_OLD_ELB = "2012-06-01"  # the Classic Load Balancers' API, which is signed with the same name
_MALFORMED = {"query": "MalformedInput", "ec2": "InvalidParameterValue", "rest-xml": "MalformedInput"}
_SIGNED_AS = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}


class Refusal(NamedTuple):
    """An error of AWS's; without `status`, the HTTP status is the service model's for the code."""

    code: str
    message: str
    status: int | None = None


@dataclass
class Call:
    """One call of an operation that botocore knows. `environ` is the request's, with a readable body."""

    model: OperationModel
    parameters: dict[str, Any]
    region: str
    access_key_id: str
    protocol: str
    environ: dict[str, Any]

    @property
    def service(self) -> str:
        """boto3's name of the service, as in `boto3.client(…)`."""
        return str(self.model.service_model.service_name)

    @property
    def operation(self) -> str:
        """The operation's name in the API reference: CreateVpc."""
        return str(self.model.name)

    @property
    def action(self) -> str:
        """The action's usual name in IAM: ec2:CreateVpc, or lambda:InvokeFunction for Invoke."""
        return f"{self.model.service_model.signing_name}:{self.operation}"


class UnsupportedServiceError(Exception):
    """A call of a service that the lab does not offer; the message is the service's name in signatures."""


class MalformedRequestError(Exception):
    """The request names no operation, or its body does not follow the protocol."""

    def __init__(self, service: ServiceModel, protocol: str, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.message}")
        self.model = OperationModel({}, service)
        self.protocol, self.refusal = protocol, refusal


def read(environ: dict[str, Any]) -> Call | None:
    """The call; None if the request is not signed. Raises UnsupportedServiceError, MalformedRequestError."""
    if _KEY not in environ:
        environ[_KEY] = _read(environ)
    return environ[_KEY]


def given() -> dict[str, Any]:
    """The parameters of the call that moto is answering, including those that moto does not read."""
    call = read(request.environ) if has_request_context() else None
    return call.parameters if call else {}


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
    if name not in offered.TABLE:
        raise UnsupportedServiceError(signing_name)
    service = get_service_model(name)
    protocol = determine_request_protocol(service, request.content_type)
    try:
        model, uri = get_service_router(name).match(request)
    except NotFound:
        raise _unknown(service, protocol, request) from None
    parameters = _parameters(model, protocol, request, uri)
    return Call(model, parameters, region, access_key_id, protocol, environ)


def _replayable(environ: dict[str, Any]) -> Request:
    """The request, with its body kept for the next application."""
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
        raise MalformedRequestError(model.service_model, protocol, Refusal(code, str(error))) from error
    return {name: value for name, value in parsed.items() if not _absent(model, name, value)}


def _absent(model: OperationModel, name: str, value: Any) -> bool:
    """The parser returns a value for members in the URL even if they are missing."""
    location = model.input_shape.members[name].serialization.get("location")  # type: ignore[union-attr]
    return value is None or (location == "querystring" and value in ([], {}))


def _check_json(shape: Shape, body: bytes) -> None:
    payload = shape.serialization.get("payload")
    body_shape = shape.members[payload] if payload else shape  # type: ignore[attr-defined]
    if body and body_shape.type_name not in (
        "blob",
        "string",
    ):  # the caller's own data, as in Lambda's Invoke
        json_types.check(body_shape, json.loads(body))


def _unknown(service: ServiceModel, protocol: str, request: Request) -> MalformedRequestError:
    if protocol in ("query", "ec2"):
        message = f"The action {request.values.get('Action', '')} is not valid for this web service."
        return MalformedRequestError(service, protocol, Refusal("InvalidAction", message))
    status = 404 if "rest" in protocol else None
    return MalformedRequestError(service, protocol, Refusal("UnknownOperationException", "", status))
