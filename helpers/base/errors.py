"""The errors of the tutorial."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class TutorialError(Exception):
    """An error that a reader can act on: what was being done, what came back, what to try."""

    def __init__(self, action: str, answer: str, hint: str = "") -> None:
        self.action, self.answer, self.hint = action, answer, hint
        super().__init__(f"{action}: {answer}" + (f"\nTry: {hint}" if hint else ""))

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: a reader needs the message, not the frames that led to it."""
        return [f"{type(self).__name__}: {self}"]


class SettingsError(TutorialError):
    """A value in the environment or in the settings file cannot be used."""


class PrerequisiteError(TutorialError):
    """Something is missing that an earlier notebook creates."""

    def __init__(self, what: str, notebook: str) -> None:
        super().__init__("Looking up", f"There is {what} yet. Run {notebook} first.")


class ApiError(TutorialError):
    """A cloud's service answered with an error; `code` is the service's own."""

    def __init__(self, action: str, code: str, message: str, hint: str = "") -> None:
        self.code = code
        super().__init__(action, f"{code}: {message}", hint)


class AlreadyExistsError(ApiError):
    """The service carried out the call, but the response was lost, and it refuses the repeated call."""

    def __init__(self, action: str, code: str, message: str) -> None:
        super().__init__(
            action, code, f"{message} (a response was lost)", "run it again: it continues from here."
        )


class UnreachableError(TutorialError):
    """A service did not answer at all."""


class ToolMissingError(TutorialError):
    """A program that the tutorial starts is not installed."""


class CommandError(TutorialError):
    """A program exited with a status other than 0."""

    def __init__(self, action: str, exit_code: int, output: str, hint: str = "") -> None:
        self.exit_code, self.output = exit_code, output
        super().__init__(action, f"exit code {exit_code}\n{output.rstrip()}", hint)


class TimedOutError(TutorialError):
    """A condition was not met in time."""


class CheckError(TutorialError):
    """A claim at the end of a notebook does not hold."""


class ChangeNeededError(TutorialError):
    """Something is missing or different, and nothing may be changed; `command` would change it."""

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__("Checking without making changes", f"this is missing or different:\n{command}")


def for_people(command: Callable[P, None]) -> Callable[P, None]:
    """Decorates a program's main: errors are printed without a traceback, and the exit status is 1."""

    @functools.wraps(command)
    def said(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except TutorialError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            sys.exit("\nInterrupted. Run it again: it continues from here.")

    return said
