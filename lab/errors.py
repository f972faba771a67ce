"""The lab's error."""


class LabError(Exception):
    """An error to act on: what was being done, what came back, what to try."""

    def __init__(self, action: str, answer: str, hint: str = "") -> None:
        self.action, self.answer, self.hint = action, answer, hint
        super().__init__(f"{action}: {answer}" + (f"\nTry: {hint}" if hint else ""))
