"""One cluster's mesh, as somebody with kubectl sees it."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tenacity

from tests.conftest import PROJECT, run

NAMESPACE = "conformance"
IN_A_ROW = 3  # equal answers, as proxies get a change one after the other
TIMEOUT = 60  # seconds
TOKEN = 600  # seconds; EKS's is valid for 900
Env = dict[str, str]


@dataclass(frozen=True)
class Answer:
    """curl's exit status, the HTTP status (0: none), and what the lab's server says it received."""

    exit: int
    status: int
    seconds: float = 0
    seen: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def of(cls, done: "subprocess.CompletedProcess[str]") -> "Answer":
        text, _, figures = done.stdout.rpartition("\n")
        status, _, seconds = figures.partition(" ")
        seen = json.loads(text) if text.startswith("{") else {}
        return cls(done.returncode, int(status or 0), float(seconds or 0), seen, text)


def curl(*words: str) -> list[str]:
    """The command whose output `Answer.of` reads; `-q`, as the home directory of `meshes` has a .curlrc."""
    return ["curl", "-q", "-s", "-m", "12", "-w", "\n%{http_code} %{time_total}", *words]


class Mesh:
    """A cluster, by the name of its context; objects without a namespace are in `conformance`."""

    def __init__(self, environment: Env, context: str, folder: Path) -> None:
        """`folder` gets a kubeconfig with a token: asking for one takes longer than most calls."""
        self.environment, self.context = environment, context
        self._kubeconfig, self._renewed = folder / context, -TOKEN
        labels = self.kubectl("get", "deploy", "-n", "istio-system", "-l", "app=istiod", "-o", "json")
        self.revision = json.loads(labels)["items"][0]["metadata"]["labels"]["istio.io/rev"]

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        if time.monotonic() - self._renewed > TOKEN:
            self._renew()
        command = ["kubectl", f"--kubeconfig={self._kubeconfig}", "-n", NAMESPACE, *words]
        return subprocess.run(
            command, env=self.environment, cwd=PROJECT, input=stdin, capture_output=True, text=True
        )

    def _renew(self) -> None:
        shown = run(
            self.environment,
            "kubectl",
            "config",
            "view",
            "--minify",
            "--raw",
            "--context",
            self.context,
            "-o",
            "json",
        )
        config = json.loads(shown)
        [user] = config["users"]
        plugin = user["user"].pop("exec")
        environment = self.environment | {each["name"]: each["value"] for each in plugin.get("env") or []}
        answer = json.loads(run(environment, plugin["command"], *plugin.get("args") or []))
        user["user"]["token"] = answer["status"]["token"]
        self._kubeconfig.write_text(json.dumps(config))
        self._renewed = time.monotonic()

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What it prints; the test fails if kubectl does."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}{stdin}"
        return done.stdout

    def apply(self, documents: str, namespace: str = NAMESPACE) -> None:
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=documents)

    def delete(self, documents: str, namespace: str = NAMESPACE) -> None:
        self.kubectl("delete", "-n", namespace, "--ignore-not-found", "-f", "-", stdin=documents)

    @contextmanager
    def applied(self, *documents: str, namespace: str = NAMESPACE) -> Iterator[None]:
        """These objects, until the end of the block."""
        together = "\n---\n".join(documents)
        try:
            self.apply(together, namespace)
            yield
        finally:
            self.delete(together, namespace)

    def rollout(self, *, restart: bool = False, namespace: str = NAMESPACE) -> None:
        """Wait until all Deployments are ready."""
        if restart:
            self.kubectl("rollout", "restart", "deploy", "-n", namespace)
        for name in self.kubectl("get", "deploy", "-n", namespace, "-o", "name").split():
            self.kubectl("rollout", "status", name, "-n", namespace, "--timeout=180s")

    def sh(self, script: str, *, of: str = "sleep") -> "subprocess.CompletedProcess[str]":
        """Run a script in the container of that Deployment's name."""
        return self.run("exec", f"deploy/{of}", "-c", of, "--", "sh", "-c", script)

    def curl(self, *words: str, of: str = "sleep") -> Answer:
        return Answer.of(self.run("exec", f"deploy/{of}", "-c", of, "--", *curl(*words)))

    def tcp(self, address: str, port: int, *, of: str = "sleep") -> str:
        """What a line sent there brings back; "" if the connection is refused or ends."""
        return self.sh(f"echo hello | nc -w 2 {address} {port}", of=of).stdout.strip()

    def log(self, deployment: str, container: str = "istio-proxy") -> str:
        return self.kubectl("logs", f"deploy/{deployment}", "-c", container, "--since=5m")


def eventually(check: Callable[[], Any], seconds: float = TIMEOUT) -> Any:
    """What `check` returns, once it is true."""
    for attempt in _attempts(seconds):
        with attempt:
            found = check()
            assert found, check
    return found


def settled(ask: Callable[[], Any], expected: Any) -> None:
    """Ask until the answers are as expected, several in a row."""
    for attempt in _attempts(TIMEOUT):
        with attempt:
            answers = [ask() for _ in range(IN_A_ROW)]
            assert answers == [expected] * IN_A_ROW, f"{answers} instead of {expected}"


def _attempts(seconds: float) -> tenacity.Retrying:
    retried = tenacity.retry_if_exception_type(AssertionError)
    return tenacity.Retrying(
        wait=tenacity.wait_fixed(0.5), stop=tenacity.stop_after_delay(seconds), retry=retried, reraise=True
    )


def addresses(nslookup: str) -> list[str]:
    """Of the answer, without the resolver's own."""
    return re.findall(r"^Address(?: \d+)?: *([\d.]+)\s*$", nslookup.partition("Name:")[2], re.MULTILINE)
