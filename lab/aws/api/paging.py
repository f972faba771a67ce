"""Lists come in pages where a caller asks for them: WSGI middleware, as moto mostly gives all at once."""

import base64
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from botocore.parsers import create_parser
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_pagination_model
from werkzeug.wrappers import Response

from lab.aws.api import call as calls
from lab.aws.api.call import Call, read

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# moto pages the lists of the other services by itself. Entries in a page where the caller gives no number:
_PAGE = {"acm": 100, "ec2": 1000, "elb": 400, "elbv2": 400, "iam": 100, "lambda": 50, "route53": 100}
_REFUSALS = {
    "ec2": ("InvalidNextToken", "The specified NextToken is not valid."),
    "lambda": ("InvalidParameterValueException", "Invalid Marker"),
    "route53": ("InvalidInput", "The marker is not valid"),
    "acm": ("ValidationException", "The next token is not valid"),
}


class Page(NamedTuple):
    """What is asked for, and how the operation names the parts: botocore's paginators."""

    names: dict[str, Any]
    start: int
    size: int


class Paging:
    """The application, a page at a time."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        call = read(environ)
        if call is None:
            return self._application(environ, start_response)
        try:
            page = _page(call)
        except ValueError:
            refusal = _REFUSALS.get(call.service, ("ValidationError", "The marker is not valid"))
            return calls.refusal(call, *refusal)(environ, start_response)
        if page is None:
            return self._application(environ, start_response)
        answer = Response.from_app(self._application, _for_all(environ, call, page))
        if answer.status_code == 200:
            answer = _cut(call, page, answer)
        return answer(environ, start_response)


def _page(call: Call) -> Page | None:
    """None where all is asked for. ValueError where the token is none of ours."""
    if call.service not in _PAGE:
        return None
    names = get_pagination_model(call.service).get(call.operation)
    if not names or not isinstance(names["input_token"], str):
        return None
    token, size = call.parameters.get(names["input_token"]), call.parameters.get(names.get("limit_key", ""))
    if token is None and size is None:
        return None
    start = 0
    if token is not None:
        operation, _, offset = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
        if operation != call.operation:
            raise ValueError(token)
        start = int(offset)
    return Page(names, start, int(size or _PAGE[call.service]))  # Route 53's limits are strings


def _for_all(environ: "WSGIEnvironment", call: Call, page: Page) -> "WSGIEnvironment":
    """The same request without token and limit."""
    dropped = {page.names["input_token"], page.names.get("limit_key")}
    body = environ["wsgi.input"].getvalue()  # requests.read has put it there
    query = environ.get("QUERY_STRING", "")
    if call.protocol == "json":
        body = json.dumps({k: v for k, v in json.loads(body).items() if k not in dropped}).encode()
    elif call.protocol in ("query", "ec2"):
        body = _form(body.decode(), dropped).encode()
    else:
        members = call.model.input_shape.members  # type: ignore[union-attr]
        query = _form(query, {members[name].serialization["name"] for name in dropped if name})
    changed = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": query}
    return {**environ, **changed}


def _form(text: str, dropped: set[Any]) -> str:
    pairs = parse_qsl(text, keep_blank_values=True)
    return urlencode([pair for pair in pairs if pair[0] not in dropped])


def _cut(call: Call, page: Page, answer: Response) -> Response:
    everything = {"status_code": 200, "headers": dict(answer.headers), "body": answer.get_data()}
    result = create_parser(call.protocol).parse(everything, call.model.output_shape)
    result.pop("ResponseMetadata", None)
    key = page.names["result_key"]
    key = key if isinstance(key, str) else key[0]
    entries, end = result.get(key, []), page.start + page.size
    result[key], more = entries[page.start : end], end < len(entries)
    result.pop(page.names["output_token"], None)
    if more:
        token = f"{call.operation}:{end}".encode()
        result[page.names["output_token"]] = base64.urlsafe_b64encode(token).decode()
    if "more_results" in page.names:
        result[page.names["more_results"]] = more
    serializer = get_serializer_class(call.service, call.protocol)(call.model)
    cut = serializer.serialize(result)
    return Response(cut["body"], 200, cut["headers"])
