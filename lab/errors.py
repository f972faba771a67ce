"""What the lab says when it cannot go on."""


class LabError(Exception):
    """Something a reader can act on: what was being done, what came back, what to try."""

    def __init__(self, doing: str, answer: str, try_: str = "") -> None:
        self.doing, self.answer, self.try_ = doing, answer, try_
        super().__init__(f"{doing}: {answer}" + (f"\nTry: {try_}" if try_ else ""))
