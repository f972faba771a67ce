"""Every call is held against botocore's model of its service before moto sees it: WSGI middleware.

Required members, types, lengths, ranges, patterns and enumerations. Where the SDKs check the first three on
their own, AWS checks all of them again, and so what a client lets pass is refused here too.
"""

import functools
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.validate import ParamValidator, ValidationErrors
from moto.core.model import Shape
from werkzeug.wrappers import Response

from lab.aws.api import wording
from lab.aws.api.call import Call, Unreadable, check, read, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Java's names of classes of characters, as they stand in the patterns of tags.
_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": " \xa0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"}
# AWS's own message for these says more than their model; the refusals have it.
_LEFT_TO_THE_SERVICE = {("lambda", "Runtime")}


class Violation(NamedTuple):
    """What is wrong with one member: `path` is the way to it, as in "resourcesVpcConfig.subnetIds"."""

    path: str
    value: Any
    constraint: str  # required, type, min, max, length-min, length-max, pattern or enum
    wanted: Any  # what the model says

    @property
    def member(self) -> str:
        """The last name of the path."""
        return re.sub(r"\[\d+\]$", "", self.path).rpartition(".")[2]


@check
def validated(environ: "WSGIEnvironment") -> Response | None:
    """Refuses calls that are not as the model wants them."""
    try:
        call = read(environ)
    except Unreadable as unreadable:
        return refusal(unreadable, unreadable.code, unreadable.message, unreadable.status)
    if call is None:
        return None
    found = violations(call)
    return refusal(call, *wording.refusal(call, found)) if found else None


def violations(call: Call) -> list[Violation]:
    """All that the model forbids, in the model's order; [] where the call is fine."""
    if call.model.input_shape is None:
        return []
    report = _Validator(call.service).validate(call.parameters, call.model.input_shape)
    return report.found


class _Report(ValidationErrors):
    """Keeps what botocore finds in a form that AWS's wording can be made from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Violation] = []

    def report(self, name: str, reason: str, **more: Any) -> None:
        path = name.removeprefix(".")
        if reason == "missing required field":
            self.found.append(Violation(f"{path}.{more['required_name']}".strip("."), None, "required", None))
        elif reason not in ("invalid range", "invalid length"):  # those come from _broken, with their value
            self.found.append(Violation(path, more.get("param"), "type", more.get("valid_types")))


class _Validator(ParamValidator):
    """botocore's validator, which leaves maxima, patterns and enumerations to the service."""

    VALIDATED_METADATA_ATTRS = ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "pattern", "enum"}

    def __init__(self, service: str) -> None:
        self._service = service

    def validate(self, params: dict[str, Any], shape: Shape) -> _Report:
        report = _Report()
        self._validate(params, shape, report, name="")
        return report

    def _validate(self, params: Any, shape: Shape, errors: _Report, name: str) -> None:
        super()._validate(params, shape, errors, name)
        for constraint, wanted in self._broken(params, shape):
            errors.found.append(Violation(name.removeprefix("."), params, constraint, wanted))

    def _broken(self, value: Any, shape: Shape) -> Iterable[tuple[str, Any]]:
        least, most = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
        if isinstance(value, str | bytes | list | dict):
            if len(value) < least:
                yield "length-min", least
            if len(value) > most:
                yield "length-max", most
        elif isinstance(value, int | float):
            if value < least:
                yield "min", least
            if value > most:
                yield "max", most
        if isinstance(value, str) and (self._service, shape.name) not in _LEFT_TO_THE_SERVICE:
            allowed = shape.metadata.get("enum")
            if allowed and value not in allowed:
                yield "enum", allowed
            pattern = _compiled(shape.metadata.get("pattern", ""))
            if pattern and not pattern.fullmatch(value):
                yield "pattern", shape.metadata["pattern"]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for the few that are in Java's language alone: they hold nothing back here."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern) if pattern else None
    except re.error:
        return None
