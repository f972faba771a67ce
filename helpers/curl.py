"""Requests by the real curl: from outside the VPC, from inside, from a pod."""

import json
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from helpers import eks, kube
from helpers.base import command
from helpers.base.errors import TutorialError
from helpers.base.settings import current
from helpers.clusters import curl_pod, kubeconfig, pods

_MARK = "\ncurl-says:"
# More than the reader's own arguments ask for, to learn what happened: https://curl.se/docs/manpage.html
_MORE = ["--silent", "--show-error", "--include", "--verbose", "--write-out", _MARK + "%{json}"]
_NOISE = re.compile(r"^[{}] \[|^\* +(TLSv|CAfile|CApath|ALPN|TLS header|old SSL|successfully set cert)")


@dataclass
class CurlResult:
    """What came back, or why nothing did. It was printed already, so it shows nothing in a notebook."""

    exit_code: int
    http_version: str = ""
    status: int = 0
    head: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    seconds: float = 0.0
    remote_ip: str = ""
    error: str = ""
    verbose: str = ""
    url: str = ""
    local: str = ""
    remote: str = ""
    words: tuple[str, ...] = ()
    inside: bool = False
    pod: tuple[str, str, str] | None = None

    @property
    def ok(self) -> bool:
        """Whether curl succeeded and the status is 2xx."""
        return self.exit_code == 0 and 200 <= self.status < 300

    @property
    def trying(self) -> list[str]:
        """The addresses that curl tried to connect to."""
        return re.findall(r"^\* +Trying \[?([0-9a-f.:]+?)\]?:\d+", self.verbose, re.MULTILINE)

    @property
    def traceparent(self) -> str:
        """The trace context that was sent along, if any."""
        sent = (word.partition(":") for word in self.words if word.lower().startswith("traceparent:"))
        return next((value.strip() for _, _, value in sent), "")

    def said(self, pattern: str) -> str:
        """The part of what curl -v says of the connection that is in the pattern's parentheses."""
        found = re.search(rf"^\* +{pattern}", self.verbose, re.MULTILINE)
        return found[1] if found else ""

    def _ipython_display_(self) -> None: ...


def outside(*args: str | Path) -> CurlResult:
    """curl from outside the VPC: from where the reader sits."""
    return _shown_after(current().TUTORIAL_OUTSIDE_COMMAND, [str(word) for word in args])


def inside_vpc(*args: str | Path) -> CurlResult:
    """curl from a machine inside the VPC: by the settings' command if there is one, else in a pod in EKS."""
    words = [str(word) for word in args]
    if prefix := current().TUTORIAL_INSIDE_VPC_COMMAND:
        answer = _shown_after(prefix, words)
    else:
        _ensure_pod()
        answer = _shown(
            partial(curl_pod.run, eks.CONTEXT),
            words,
            "look whether pod/curl is running, and whether its curl is 7.75 or newer.",
        )
    answer.inside = True
    return answer


def _ensure_pod() -> None:
    """Make the pod where it is missing; waits for the cluster and its node where need be."""
    if kubeconfig.has(eks.CONTEXT) and kube.is_ready(eks.CONTEXT, curl_pod.NAMESPACE, curl_pod.POD):
        return
    eks.ensure()
    kube.apply(eks.CONTEXT, "manifests/eks/curl.yaml")
    kube.wait_ready(eks.CONTEXT, curl_pod.NAMESPACE, curl_pod.POD)


def in_pod(context: str, namespace: str, target: str, *args: str, container: str | None = None) -> CurlResult:
    """curl in a pod, e.g. of "deploy/sleep"."""
    kubeconfig.require_context(context)
    done = pods.execute(context, namespace, target, ["curl", *_MORE, *args], container=container)
    shown = command.shell_join([*pods.exec_words(context, namespace, target, container), "curl", *args])
    answer = _print(shown, args, _parse(done, shown, "look whether that pod is running."))
    answer.pod = (context, namespace, target)
    return answer


def resolve(host: str, port: int, address: str) -> list[str]:
    """curl's arguments that send requests for host:port to an address.

    EKS gives a gateway a host name instead; that one is resolved outside, by curl too.
    """
    if re.fullmatch(r"[0-9.]+", address):
        return ["--resolve", f"{host}:{port}:{address}"]
    return ["--connect-to", f"{host}:{port}:{address}:{port}"]


def traceparent() -> str:
    """A fresh W3C trace context, by which a request is found again in every log.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _shown_after(prefix: Sequence[str], args: Sequence[str]) -> CurlResult:
    """Run curl where the prefix leads."""
    hint = f"run {shlex.join([*prefix, 'curl'])} --version in a terminal: 7.75 or newer is needed."
    return _shown(lambda argv: command.run_raw([*prefix, *argv]), args, hint)


def _shown(
    run: Callable[[Sequence[str]], CompletedProcess[bytes]], args: Sequence[str], hint: str
) -> CurlResult:
    timeout = ["--connect-timeout", f"{current().TUTORIAL_CONNECT_TIMEOUT:g}"]
    done = run(["curl", *_MORE, *timeout, *args])
    shown = command.shell_join(["curl", *timeout, *args])
    return _print(shown, args, _parse(done, shown, hint))


def _parse(done: CompletedProcess[bytes], action: str, hint: str) -> CurlResult:
    content, mark, report = done.stdout.rpartition(_MARK.encode())
    verbose = done.stderr.decode(errors="replace").replace("\r", "")
    if not mark:  # curl itself was never started, or is too old
        raise TutorialError(action, verbose.strip() or f"exit code {done.returncode}", hint)
    facts = json.loads(report)
    head, body = content[: facts["size_header"]], content[facts["size_header"] :]
    # After a redirect or a "100 Continue" there are several; the last is that of the answer.
    blocks = head.decode("latin-1").replace("\r", "").strip().split("\n\n")
    pairs = (line.partition(":") for line in blocks[-1].split("\n")[1:])
    return CurlResult(
        exit_code=facts["exitcode"],
        http_version=facts["http_version"] if facts["http_code"] else "",
        status=facts["http_code"],
        head=blocks[-1],
        headers={name.strip().lower(): value.strip() for name, _, value in pairs},
        body=body.decode(errors="replace"),
        seconds=facts["time_total"],
        remote_ip=facts["remote_ip"],
        error=facts["errormsg"] or "",
        verbose=verbose,
        url=facts["url_effective"],
        local=_address(facts, "local"),
        remote=_address(facts, "remote"),
    )


def _address(facts: dict[str, Any], side: str) -> str:
    return f"{facts[f'{side}_ip']}:{facts[f'{side}_port']}" if facts[f"{side}_ip"] else ""


def _print(shown: str, args: Sequence[str], answer: CurlResult) -> CurlResult:
    short = "".join(word[1:] for word in args if re.fullmatch(r"-[a-zA-Z]+", word))
    parts = []
    if "v" in short or "--verbose" in args:
        lines = (line.rstrip() for line in answer.verbose.splitlines())
        parts += [line for line in lines if line[:1] in ("*", "<", ">") and not _NOISE.match(line)]
    if answer.head and ("i" in short or "--include" in args):
        parts += [answer.head, ""]
    if answer.body:
        parts.append(answer.body)
    if answer.exit_code:
        parts.append(f"curl: ({answer.exit_code}) {answer.error}")
    command.show(shown, "\n".join(parts))
    answer.words = tuple(args)
    return answer
