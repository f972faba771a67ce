"""The results that a machine reported."""

from tests.machines.machine import Kind

STEPS = ("setup", "tutorial", "down")


class Result:
    """The lines with @@ that guest.sh printed."""

    def __init__(self) -> None:
        self.system = "did not boot"
        self.steps: dict[str, str] = {}
        self.left: list[str] = []

    @property
    def passed(self) -> bool:
        return (
            all(self.steps.get(step, "").startswith("passed") for step in STEPS)
            and "looked" in self.steps
            and not self.left
        )

    def read(self, line: str) -> None:
        word, _, rest = line.removeprefix("@@ ").partition(" ")
        if word == "booted":
            self.system = rest
        elif word == "left":
            self.left.append(rest)
        else:
            self.steps[word] = rest

    def row(self, kind: Kind) -> list[str]:
        steps = [self._minutes(step) for step in STEPS]
        left = "not reached" if "looked" not in self.steps else "; ".join(self.left) or "nothing"
        return [self.system, kind.upper(), *steps, left]

    def _minutes(self, step: str) -> str:
        if step not in self.steps:
            return "not reached"
        word, seconds = self.steps[step].split()
        return f"{'' if word == 'passed' else 'failed after '}{int(seconds) / 60:.1f} min"
