"""Requests with the real curl: from outside the VPC, from inside, from a pod."""

import json
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from itertools import dropwhile
from pathlib import Path
from subprocess import CompletedProcess
from typing import Literal, NamedTuple

from helpers import eks, kube, network
from helpers.base import command
from helpers.base.errors import TutorialError
from helpers.base.settings import current
from helpers.clusters import curl_pod, kubeconfig, pods

_MARK = "\ncurl-says:"
# First -q, because an "insecure" in a .curlrc would change what notebooks show. Then more output than the
# reader's own arguments request, to learn what happened: https://curl.se/docs/manpage.html
_MORE = ["--disable", "--silent", "--show-error", "--include", "--verbose"]
_REPORT = ["--write-out", _MARK + "%{json}"]  # last, because a reader's -w is only shown
# Refused, or a TLS handshake that fails: https://curl.se/docs/manpage.html#EXIT
_ANSWERED = (7, 35, 52, 55, 56, 60)
_NOISE = re.compile(
    r"^[{}] \[|^\* +(TLSv|CAfile|CApath|ALPN|TLS header|old SSL|successfully set cert|Uses proxy env)"
)

_VARIABLE = re.compile(r"[A-Z_]+=")

Run = Callable[[Sequence[str]], CompletedProcess[bytes]]  # a command line, somewhere


class Pod(NamedTuple):
    """A pod, e.g. the one of "deploy/sleep"."""

    context: str
    namespace: str
    target: str

    @property
    def workload(self) -> str:
        """As istioctl calls it: "deploy/sleep.sleep"."""
        return f"{self.target}.{self.namespace}"


Origin = Literal["outside", "VPC"] | Pod


@dataclass(frozen=True)
class CurlResult:
    """The response, or why there is none. It was already printed, so a notebook displays nothing for it.

    `seconds` is the time until the response was complete; `local` and `remote` are the connection's addresses
    with their ports; `head` is the status line with the headers, `verbose` the output of curl -v.
    """

    exit_code: int
    url: str = ""
    args: tuple[str, ...] = ()
    origin: Origin = "outside"
    error: str = ""
    verbose: str = ""
    seconds: float = 0.0
    local: str = ""
    remote: str = ""
    http_version: str = ""
    status: int = 0
    head: str = ""
    body: str = ""

    @property
    def ok(self) -> bool:
        """Whether curl succeeded and the status is 2xx."""
        return self.exit_code == 0 and 200 <= self.status < 300

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers, their names in lower case."""
        pairs = (line.partition(":") for line in self.head.split("\n")[1:])
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def trying(self) -> list[str]:
        """The addresses that curl tried to connect to."""
        return re.findall(r"^\* +Trying \[?([0-9a-f.:]+?)\]?:\d+", self.verbose, re.MULTILINE)

    @property
    def strayed(self) -> bool:
        """Whether another host answered: it refused the connection, or presented another certificate."""
        return self.exit_code in _ANSWERED

    @property
    def unreachable(self) -> bool:
        """Whether curl tried only private addresses, and the target did not answer.

        No address (6), no packet (28), or another host has the addresses where curl ran (`strayed`).
        """
        public = [address for address in self.trying if ip_address(address).is_global]
        return not public and (self.exit_code in (6, 28) or self.strayed)

    @property
    def traceparent(self) -> str:
        """The trace context that was sent, if any."""
        sent = (word.partition(":") for word in self.args if word.lower().startswith("traceparent:"))
        return next((value.strip() for _, _, value in sent), "")

    def said(self, pattern: str) -> str:
        """The first group of a pattern in curl -v's output about the connection."""
        found = re.search(rf"^\* +{pattern}", self.verbose, re.MULTILINE)
        return found[1] if found else ""

    def _ipython_display_(self) -> None: ...


def outside(*args: str | Path) -> CurlResult:
    """curl from outside the VPC, from the reader's machine."""
    return _after(current().TUTORIAL_OUTSIDE_COMMAND, args, "outside")


def on_one_connection(*args: str | Path, requests: int, interval: float) -> list[tuple[int, int]]:
    """From outside, a request every `interval` seconds, by one curl, which keeps its connection open.

    `args` ends with the URL. Returns each one's status (0: no response) and how many connections it opened.
    """
    *options, url = map(str, args)
    report = ["-so", "/dev/null", "-w", r"%{http_code} %{num_connects}\n", "--rate", f"{60 / interval:g}/m"]
    words = [*_timeout(), *report, *options, f"{url}?[1-{requests}]"]
    prefix = current().TUTORIAL_OUTSIDE_COMMAND
    done = command.run([*prefix, "curl", "--disable", *words], check=False)
    command.show(command.shell_join([*_shown(prefix), "curl", *words]), done.text)
    pairs = [line.split() for line in done.text.splitlines()]
    if len(pairs) != requests:
        raise TutorialError(
            "Sending requests on one connection", done.errors or "curl ended", _version(prefix, "7.84")
        )
    return [(int(status), int(opened)) for status, opened in pairs]


def inside_vpc(*args: str | Path) -> CurlResult:
    """curl from inside the VPC, with TUTORIAL_INSIDE_VPC_COMMAND or from a pod in EKS."""
    if prefix := current().TUTORIAL_INSIDE_VPC_COMMAND:
        return _after([_with_vpc(word) for word in prefix], args, "VPC")
    _ensure_pod()
    hint = "check that pod/curl is running, and that its curl is 7.75 or newer."
    before = pods.exec_words(eks.CONTEXT, curl_pod.NAMESPACE, curl_pod.POD)
    words = [*_timeout(), *map(str, args)]
    run = partial(curl_pod.run, eks.CONTEXT)
    return _curl(run, words, "VPC", hint, shown_before=before, shown_as=curl_pod.there)


def _with_vpc(word: str) -> str:
    """`{vpc}` is the ID of the tutorial's VPC: an account may have others."""
    return word.replace("{vpc}", network.get().vpc_id) if "{vpc}" in word else word


def _ensure_pod() -> None:
    """Create the pod if it is missing; waits for the cluster and its node if necessary."""
    if kubeconfig.has(eks.CONTEXT) and kube.is_ready(eks.CONTEXT, curl_pod.NAMESPACE, curl_pod.POD):
        return
    eks.ensure()
    kube.apply(eks.CONTEXT, "manifests/eks/curl.yaml")
    kube.wait_ready(eks.CONTEXT, curl_pod.NAMESPACE, curl_pod.POD)


def in_pod(context: str, namespace: str, target: str, *args: str, container: str | None = None) -> CurlResult:
    """curl in a pod, e.g. of "deploy/sleep"."""
    kubeconfig.require_context(context)
    before = pods.exec_words(context, namespace, target, container)
    run = partial(pods.execute, context, namespace, target, container=container)
    hint = "check that this pod is running."
    return _curl(run, args, Pod(context, namespace, target), hint, shown_before=before)


def resolve(host: str, port: int, address: str) -> list[str]:
    """The arguments with which curl sends requests for host:port to an address.

    In EKS a gateway has a host name instead, which curl resolves.
    """
    if re.fullmatch(r"[0-9.]+", address):
        return ["--resolve", f"{host}:{port}:{address}"]
    return ["--connect-to", f"{host}:{port}:{address}:{port}"]


def traceparent() -> str:
    """A new W3C trace context, which identifies a request in every log.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _timeout() -> list[str]:
    return ["--connect-timeout", f"{current().TUTORIAL_CONNECT_TIMEOUT:g}"]


def _after(prefix: Sequence[str], args: Sequence[str | Path], origin: Origin) -> CurlResult:
    """curl with a command prefix that runs it somewhere else."""

    def run(argv: Sequence[str]) -> CompletedProcess[bytes]:
        return command.run_raw([*prefix, *argv])

    words = [*_timeout(), *map(str, args)]
    return _curl(run, words, origin, _version(prefix, "7.75"), shown_before=_shown(prefix))


def _version(prefix: Sequence[str], oldest: str) -> str:
    return f"run {shlex.join([*prefix, 'curl'])} --version in a terminal: {oldest} or newer is needed."


def _shown(prefix: Sequence[str]) -> list[str]:
    """Without variables, which a shell after `lab env` has."""
    return [*dropwhile(lambda word: word == "env" or _VARIABLE.match(word), prefix)]


def _curl(
    run: Run,
    args: Sequence[str],
    origin: Origin,
    hint: str,
    shown_before: Sequence[str] = (),
    shown_as: Callable[[str], str] = str,
) -> CurlResult:
    """Run curl and print it as in a terminal.

    Raises:
        TutorialError: curl did not start, or is too old.
    """
    done = run(["curl", *_MORE, *args, *_REPORT])
    shown = command.shell_join([*shown_before, "curl", *map(shown_as, args)])
    if _MARK.encode() not in done.stdout:
        errors = done.stderr.decode(errors="replace").strip()
        raise TutorialError(shown, errors or f"exit code {done.returncode}", hint)
    result = _parse(done.stdout, done.stderr, tuple(args), origin)
    command.show(shown, _as_in_a_terminal(result))
    return result


def _parse(output: bytes, errors: bytes, args: tuple[str, ...], origin: Origin) -> CurlResult:
    """Parses curl's output with _MORE: head and body, then its report in JSON."""
    content, _, report = output.rpartition(_MARK.encode())
    facts = json.loads(report)
    head, body = content[: facts["size_header"]], content[facts["size_header"] :]
    local, remote = (
        f"{facts[f'{side}_ip']}:{facts[f'{side}_port']}" if facts[f"{side}_ip"] else ""
        for side in ("local", "remote")
    )
    return CurlResult(
        exit_code=facts["exitcode"],
        url=facts["url_effective"],
        args=args,
        origin=origin,
        error=facts["errormsg"] or "",
        verbose=errors.decode(errors="replace").replace("\r", ""),
        seconds=facts["time_total"],
        local=local,
        remote=remote,
        http_version=facts["http_version"] if facts["http_code"] else "",
        status=facts["http_code"],
        # After a redirect or a "100 Continue" there are several; the last one is the response's.
        head=head.decode("latin-1").replace("\r", "").strip().split("\n\n")[-1],
        body=body.decode(errors="replace"),
    )


def _as_in_a_terminal(result: CurlResult) -> str:
    """The output of curl with the reader's own arguments only."""
    short = "".join(word[1:] for word in result.args if re.fullmatch(r"-[a-zA-Z]+", word))
    parts = []
    if "v" in short or "--verbose" in result.args:
        lines = (line.rstrip() for line in result.verbose.splitlines())
        parts += [line for line in lines if line[:1] in ("*", "<", ">") and not _NOISE.match(line)]
    if result.head and ("i" in short or "--include" in result.args):
        parts += [result.head, ""]
    if result.body:
        parts.append(result.body)
    if "-w" in result.args:
        parts.append(f"{result.status:03}")  # %{http_code} is all that notebooks ask for
    if result.exit_code:
        parts.append(f"curl: ({result.exit_code}) {result.error}")
    return "\n".join(parts)
