"""The Condition element of a policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, list[str]]
_Test = Callable[[str, str], bool]  # (the request's value, the policy's value)


def matches_glob(value: str, pattern: str) -> bool:
    """`*` and `?` as in policies; `[` is literal."""
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def matches_arn(arn: str, pattern: str) -> bool:
    """Compares each of the six parts; the last one may contain colons."""
    parts, patterns = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(matches_glob, parts, patterns))


_TESTS: dict[str, _Test] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": matches_glob,
    "ArnEquals": matches_arn,
    "ArnLike": matches_arn,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
    "NumericLessThan": lambda value, wanted: float(value) < float(wanted),
    "NumericLessThanEquals": lambda value, wanted: float(value) <= float(wanted),
    "NumericGreaterThan": lambda value, wanted: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: float(value) >= float(wanted),
}


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool | None:
    """Whether all of them hold; None if one has an operator that the lab does not support."""
    results = [
        _holds(operator, context.get(key.lower(), []), [fill_in(value, context) for value in listed(wanted)])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    ]
    return None if None in results else all(results)


def fill_in(text: str, context: Context) -> str:
    """Policy variables such as ${aws:username}; one without a value is kept, so it matches nothing.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    return re.sub(r"\$\{([^}]+)\}", lambda found: (context.get(found[1].lower()) or [found[0]])[0], text)


def listed(value: Any) -> list[str]:
    """An element's values as strings: policies may omit the list, and use JSON booleans."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _holds(operator: str, values: list[str], wanted: list[str]) -> bool | None:
    if operator == "Null":
        return (not values) == (wanted == ["true"])
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    test = _TESTS.get(name.replace("Not", ""))
    if test is None:
        return None
    if not values:
        return negated or if_exists or quantifier == "ForAllValues"
    results = [any(test(value, pattern) for pattern in wanted) != negated for value in values]
    return any(results) if quantifier == "ForAnyValue" else all(results)
