"""Lambda: execution environments that run AWS's runtime client, one operating-system process each."""

from lab.aws.dataplane.functions.errors import FunctionNotFoundError, TooManyRequestsError
from lab.aws.dataplane.functions.process import Place
from lab.aws.dataplane.functions.service import FunctionService
from lab.aws.dataplane.functions.version import FunctionVersion, Result

__all__ = [
    "FunctionNotFoundError",
    "FunctionService",
    "FunctionVersion",
    "Place",
    "Result",
    "TooManyRequestsError",
]
