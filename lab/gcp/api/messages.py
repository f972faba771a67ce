"""Reads and writes protocol buffer messages as Google's REST front end does (https://google.aip.dev/127)."""

import json
import re
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from werkzeug.wrappers import Request, Response

from lab.gcp.api.errors import ApiError, invalid

# https://cloud.google.com/apis/docs/system-parameters
_SYSTEM_PARAMETERS = frozenset(
    {"$alt", "alt", "$.xgafv", "$fields", "fields", "$key", "key", "$prettyPrint", "prettyPrint", "quotaUser"}
)


def parse(kind: type, request: Request, resource: str = "", more: frozenset[str] = frozenset()) -> Any:
    """A request's message, from its JSON body and query. INVALID_ARGUMENT for fields that `kind` lacks.

    With `resource`, the body is that field of the message (as in Compute Engine's API), otherwise the message
    itself. `more` are query parameters that `kind` lacks; they have no effect.
    """
    message = kind()
    raw = kind.pb(message)  # type: ignore[attr-defined]
    query, body = _query(raw.DESCRIPTOR, request, more), _body(request)
    if resource:
        _fill(getattr(raw, resource), body, "resource")
    else:
        query |= body
    _fill(raw, query)
    return message


def _query(fields: Descriptor, request: Request, more: frozenset[str]) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for name, value in request.args.items():
        field = fields.fields_by_name.get(name) or fields.fields_by_camelcase_name.get(name)
        if field:
            truth = field.type == field.TYPE_BOOL and value.lower() in ("true", "false")
            query[name] = value.lower() == "true" if truth else value
        elif name not in _SYSTEM_PARAMETERS | more:
            why = f"Cannot bind query parameter. Field '{name}' could not be found in request message."
            raise _unknown(name, "", why)
    return query


def _fill(raw: Message, document: dict[str, Any], at: str = "") -> None:
    try:
        json_format.ParseDict(document, raw)
    except json_format.ParseError as error:
        raise _malformed(str(error), at) from error


def answer(message: Any, request: Request) -> Response:
    """A response with a message; Google's clients request `$alt=json;enum-encoding=int`."""
    numbers = "enum-encoding=int" in request.args.get("$alt", "")
    raw = type(message).pb(message) if hasattr(type(message), "pb") else message
    return render(json_format.MessageToDict(raw, use_integers_for_enums=numbers))


def refusal(error: ApiError) -> Response:
    return render(error.body, error.http_status)


def render(document: dict[str, Any], status: int = 200) -> Response:
    content_type = "application/json; charset=UTF-8"
    return Response(json.dumps(document, indent=2) + "\n", status, content_type=content_type)


def _body(request: Request) -> dict[str, Any]:
    text = request.get_data()
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}", "") from error
    if not isinstance(document, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.", "")
    return document


def _malformed(text: str, at: str) -> ApiError:
    """Protobuf's error, with Google's wording if it is about an unknown field."""
    if found := re.search(r'has no field named "([^"]+)" at "\w+\.?([^"]*)"', text):
        return _unknown(found[1], ".".join(filter(None, (at, found[2]))), "Cannot find field.")
    return invalid(f"Invalid JSON payload received. {text}", "")


def _unknown(name: str, where: str, why: str) -> ApiError:
    # Protobuf names the messages' types first and camel case; Google names fields as in the .proto file.
    path = re.sub("[A-Z]", lambda upper: f"_{upper[0].lower()}", where)
    at = f" at '{path}'" if path else ""
    return invalid(f'Invalid JSON payload received. Unknown name "{name}"{at}: {why}', path)
