"""Programs and logs in pods."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from helpers.base.command import shell_join
from helpers.base.errors import ApiError, TimedOutError, TutorialError
from helpers.clusters import client, kubectl

if TYPE_CHECKING:
    from kubernetes.stream.ws_client import WSClient

    from helpers.clusters.connection import Client

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_STDIN, _STDOUT, _STDERR, _END = 0, 1, 2, 3  # channels


def exec_words(
    context: str, namespace: str, target: str, container: str | None = None, input: bool = False
) -> list[str]:
    """The kubectl command line up to the program to run in a pod."""
    words = kubectl.for_pod(context, "exec", namespace, target, container)
    return [*words, *(["-i"] if input else []), "--"]


def execute(
    context: str,
    namespace: str,
    target: str,
    argv: Sequence[str],
    *,
    container: str | None = None,
    input: str | None = None,
    timeout: float = 600,
    output: Callable[[bytes], None] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a pod, e.g. of "deploy/sleep", whatever its exit code.

    It is started only once: if the response is lost, it is unknown what the program did.
    `output` gets what the program prints as soon as it arrives; then it is not in the result.
    Raises ApiError, UnreachableError, TimedOutError.
    """
    from websocket import WebSocketBadStatusException, WebSocketException

    from helpers.clusters import connection

    line = shell_join([*exec_words(context, namespace, target, container, input is not None), *argv])
    pod = client.call(context, line, lambda api: of(api, namespace, target))
    asked = [("command", word) for word in argv] + [("container", container or _first_container(pod))]
    asked += [(stream, "true") for stream in ("stdout", "stderr", *(("stdin",) if input is not None else ()))]
    try:
        stream = _open(connection.of(context), f"{path(pod)}/exec", asked)
        stream.sock.settimeout(timeout)
        if input is not None:
            stream.write_stdin(input.encode())
            stream.close_channel(_STDIN)
        _read(stream, timeout, output)
    except WebSocketBadStatusException as error:
        raise client.refusal(line, error.status_code, error.resp_body) from error
    except (OSError, WebSocketException) as error:
        raise client.unreachable(context, line, error) from error
    if stream.is_open():
        stream.close()
        raise TimedOutError(line, f"still running after {timeout:g} s")
    return _completed(context, line, stream)


class Background(Thread):
    """A program in a pod that runs while something else happens; `output` gets what it prints.

    At its end, `errors` is what it printed as errors; `error` is set if it could not be started, or its
    connection broke.
    """

    def __init__(
        self,
        context: str,
        namespace: str,
        target: str,
        argv: Sequence[str],
        *,
        container: str,
        timeout: float,
        output: Callable[[bytes], None],
    ) -> None:
        super().__init__(daemon=True)
        self.error: TutorialError | None = None
        self.errors = b""
        self._execute = partial(
            execute, context, namespace, target, argv, container=container, timeout=timeout, output=output
        )

    def run(self) -> None:
        try:
            self.errors = self._execute().stderr
        except TutorialError as error:
            self.error = error


def _open(api: "Client", path: str, asked: list[tuple[str, str]]) -> "WSClient":
    from kubernetes.stream import ws_client
    from websocket import setdefaulttimeout

    from helpers.clusters import connection

    configuration = api.client.configuration
    url = ws_client.get_websocket_url(configuration.host + path, asked)
    setdefaulttimeout(connection.CONNECT_TIMEOUT)  # WSClient has no parameter for this
    headers = {"authorization": configuration.get_api_key_with_prefix("BearerToken")}
    return ws_client.WSClient(configuration, url, headers, capture_all=False, binary=True)


def _read(stream: "WSClient", timeout: float, output: Callable[[bytes], None] | None) -> None:
    """Until the program has ended, or the time has."""
    if output is None:
        stream.run_forever(timeout)
        return
    end = time.monotonic() + timeout
    while stream.is_open() and (left := end - time.monotonic()) > 0:
        stream.update(left)
        if arrived := stream.read_channel(_STDOUT):
            output(arrived)


def _completed(context: str, line: str, stream: "WSClient") -> subprocess.CompletedProcess[bytes]:
    out, errors, end = (stream.read_channel(channel) for channel in (_STDOUT, _STDERR, _END))
    if not end:
        raise client.unreachable(context, line, "the connection ended before the program did")
    status = json.loads(end)
    if status["status"] == "Success":
        return subprocess.CompletedProcess(line, 0, out, errors)
    causes = status.get("details", {}).get("causes") or []
    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
    if not codes:  # it did not start
        raise ApiError(line, status.get("reason", "Failure"), status.get("message", ""))
    return subprocess.CompletedProcess(line, codes[0], out, errors)


def logs(context: str, namespace: str, target: str, container: str | None = None, since: int = 600) -> str:
    """What a container logged in the last seconds."""

    def read(api: "Client") -> str:
        pod = of(api, namespace, target)
        asked = [("container", container or _first_container(pod)), ("sinceSeconds", str(since))]
        answer = api.request("get", f"{path(pod)}/log", query_params=asked, serialize=False)
        return answer.data.decode(errors="replace")

    words = kubectl.for_pod(context, "logs", namespace, target, container)
    return client.call(context, shell_join(words), read)


def of(api: "Client", namespace: str, target: str) -> Any:
    """The pod of that name, or of a workload such as "deploy/sleep": a ready one, if any is."""
    noun, _, name = target.rpartition("/")
    pods = api.resource("pods")
    if noun in ("", "pod", "pods"):
        return pods.get(name=name, namespace=namespace)
    workload = api.resource(noun).get(name=name, namespace=namespace)
    labels = workload.spec.selector.matchLabels.to_dict()
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = pods.get(namespace=namespace, label_selector=selector).items
    living = [pod for pod in found if not pod.metadata.deletionTimestamp]
    if not living:
        raise ApiError(f"Looking for a pod of {target} in {namespace}", "NotFound", "it has none.")
    return max(living, key=is_ready)


def is_ready(pod: Any) -> bool:
    """Whether the pod's condition Ready is true."""
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _first_container(pod: Any) -> str:
    annotations = pod.metadata.annotations
    return (annotations and annotations[_DEFAULT_CONTAINER]) or pod.spec.containers[0].name


def path(pod: Any) -> str:
    return f"/api/v1/namespaces/{pod.metadata.namespace}/pods/{pod.metadata.name}"
