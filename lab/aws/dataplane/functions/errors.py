"""Why Lambda does not run a function at all (a function's own errors are in the Result)."""

from lab.errors import LabError


class FunctionNotFoundError(LabError):
    """ResourceNotFoundException of the Lambda API (404)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invoking the function {name}", "there is no such function")


class TooManyRequestsError(LabError):
    """TooManyRequestsException of the Lambda API (429); `reason` is its member Reason.

    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
    """

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"invoking the function {name}", "Rate Exceeded.")
