"""Checks every call against botocore's model of its service, as SDKs do, and more strictly.

botocore's own check leaves maxima, patterns and enumerations to the service.
"""

import functools
import math
import re
from collections.abc import Iterable
from typing import Any

from botocore.validate import ParamValidator, ValidationErrors
from moto.core.model import Shape

from lab.aws.api.call import Call, Refusal

# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and similar pages; where they are
# silent, answers observed from the service.
_CODES = {
    "ec2": "InvalidParameterValue",
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
# Java's names of character classes, as used in the patterns of tags.
_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": " \xa0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"}
# Lambda has another code for it, and the lab's message says more.
_LEFT_TO_THE_SERVICE = {("lambda", "Runtime")}


def validated(call: Call) -> Refusal | None:
    """Refuses violations of the model: required members, types, lengths, ranges, patterns, enumerations."""
    if call.model.input_shape is None:
        return None
    report = _Validator(call.service).validate(call.parameters, call.model.input_shape)
    if not report.has_errors():
        return None
    code = _CODES.get(call.service) or _CODES_BY_PROTOCOL[call.protocol]
    if call.service == "ec2" and report.first == "missing required field":
        code = "MissingParameter"
    return Refusal(code, report.generate_report())


class _Report(ValidationErrors):
    """botocore's sentences, one per line, and one for each violation that `_broken` finds."""

    @property
    def first(self) -> str:
        return str(self._errors[0][0])

    def _format_error(self, error: Any) -> str:
        reason, name, more = error
        if reason != "broken":
            return str(super()._format_error(error))
        return f"Invalid value for parameter {self._get_name(name)}: {more['value']!r} {more['rule']}"


class _Validator(ParamValidator):
    VALIDATED_METADATA_ATTRS = ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "pattern", "enum"}

    def __init__(self, service: str) -> None:
        self._service = service

    def validate(self, params: dict[str, Any], shape: Shape) -> _Report:
        report = _Report()
        self._validate(params, shape, report, name="")
        return report

    def _validate(self, params: Any, shape: Shape, errors: _Report, name: str) -> None:
        super()._validate(params, shape, errors, name)
        for rule in self._broken(params, shape):
            errors.report(name, "broken", value=params, rule=rule)

    def _broken(self, value: Any, shape: Shape) -> Iterable[str]:
        most = shape.metadata.get("max", math.inf)
        if isinstance(value, str | bytes | list | dict) and len(value) > most:
            yield f"has a length greater than {most}"
        elif isinstance(value, int | float) and value > most:
            yield f"is greater than {most}"
        if isinstance(value, str) and (self._service, shape.name) not in _LEFT_TO_THE_SERVICE:
            allowed = shape.metadata.get("enum")
            if allowed and value not in allowed:
                yield f"is none of {', '.join(allowed)}"
            pattern = _compiled(shape.metadata.get("pattern", ""))
            if pattern and not pattern.fullmatch(value):
                yield f"does not match {shape.metadata['pattern']}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for the few patterns that are valid only in Java; they are not checked."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern) if pattern else None
    except re.error:
        return None
