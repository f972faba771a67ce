"""A reader who pastes what the notebooks printed into a shell, in a lab with empty clouds."""

import re
import shutil
import subprocess

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.conftest import PROJECT
from tests.pasting.transcript import Step

_LATE = re.compile(r"(kubectl .* (logs|get) )|(istioctl .*proxy-)|(aws logs filter)|(aws s3 )", re.DOTALL)
_SECONDS = 60  # until a log, or Envoy's configuration, has the expected content
_STATUS = re.compile(r"^HTTP/\S+ \d+", re.M)
_REFUSED = re.compile(r"^curl: \((\d+)\)", re.M)
# A refusal after the connection: which of these is a race (refused-tls in tests/notebooks/sanitize.cfg).
_CLOSED = (35, 52, 55, 56)
_PAGE = "Hello World from Lambda"
_WORD = re.compile(r"[\w.:/@+-]+")
_ID = re.compile(r"(?=.*\d)\S{7,}")  # random names from AWS or a cluster, and addresses


class Shell:
    """`environment` is that of `lab env`; `before` names the lab of the notebooks, `now` this one."""

    def __init__(self, environment: dict[str, str], before: str, now: str) -> None:
        self.environment = environment
        self.known = {f"build/{before}": f"build/{now}"}
        self.cells_run: set[str] = set()

    def paste(self, step: Step) -> str:
        """Run the command; returns how its result differs from the notebook's, or ""."""
        if step.command.startswith("gcloud ") and not shutil.which("gcloud", path=self.environment["PATH"]):
            return self._by_helpers(step.cell)
        command = self._with_ids_of_now(step.command)
        self._copy_files(step.command)
        attempts = Retrying(
            retry=retry_if_result(lambda found: bool(found[0])),
            stop=stop_after_delay(_SECONDS if _LATE.match(command) else 0),
            wait=wait_fixed(2),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else ("", ""),
        )
        wrong, text = attempts(self._attempt, command, step)
        self._learn(step, text)
        return wrong

    def _attempt(self, command: str, step: Step) -> tuple[str, str]:
        done = self._run("bash", "-o", "pipefail", "-c", command)
        return _difference(step, done), done.stdout

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            env=self.environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def _by_helpers(self, cell: str) -> str:
        """What the cell did in Google Cloud, done by the helpers; tests of gcloud compare both."""
        if cell in self.cells_run:
            return ""
        self.cells_run.add(cell)
        nouns = [path.stem for path in PROJECT.glob("helpers/*.py") if f"{path.stem}." in cell]
        done = self._run(".venv/bin/python", "-c", f"from helpers import {', '.join(nouns)}\n{cell}")
        return done.stderr if done.returncode else ""

    def _with_ids_of_now(self, text: str) -> str:
        one = "|".join(map(re.escape, sorted(self.known, key=len, reverse=True)))
        return re.sub(rf"(?<![\w-])(?:{one})(?![\w-])", lambda found: self.known[found[0]], text)

    def _copy_files(self, command: str) -> None:
        """Documents and manifests that the notebooks' run wrote and the command names."""
        for name in re.findall(r"build/[\w-]+/(?:commands|manifests)/[\w./-]+", command):
            made, copy = PROJECT / name, PROJECT / self._with_ids_of_now(name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if made.suffix == ".zip":
                shutil.copy(made, copy)
            elif made.exists():
                copy.write_text(self._with_ids_of_now(made.read_text()))

    def _learn(self, step: Step, text: str) -> None:
        before, now = _WORD.findall("\n".join(step.answers or step.output)), _WORD.findall(text)
        if len(before) == len(now):
            # A hosted zone is "/hostedzone/Z…" in a response, and "Z…" in commands.
            before, now = ([*words, *(each.rpartition("/")[2] for each in words)] for words in (before, now))
            pairs = zip(before, now, strict=True)
            self.known |= {old: new for old, new in pairs if old != new and _ID.fullmatch(old)}


def _difference(step: Step, done: subprocess.CompletedProcess[str]) -> str:
    """How the output differs from the notebook's, as far as two runs can be compared."""
    shown, text = "\n".join(step.output), done.stdout
    refused = _REFUSED.search(shown)
    expected = int(refused[1]) if refused else 0
    if done.returncode != expected and not {done.returncode, expected} <= {*_CLOSED}:
        return f"exit status {done.returncode}: {done.stderr.strip() or text.strip()}"
    if _STATUS.findall(shown) != _STATUS.findall(text) or (_PAGE in shown) != (_PAGE in text):
        return f"another answer: {text}"
    if len(step.answers) > len((text + done.stderr).splitlines()):  # istioctl writes some check marks there
        return f"an answer is missing: {text}"
    if _LATE.match(step.command) and not text.strip():
        return "nothing was found"
    return ""
