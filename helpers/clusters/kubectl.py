"""kubectl's command lines: helpers print them, and errors name them."""

from helpers.base.command import shell_join


def line(context: str, *words: str) -> str:
    """The command for the cluster of that context, quoted for a shell."""
    return shell_join(["kubectl", "--context", context, *words])


def for_pod(context: str, verb: str, namespace: str, target: str, container: str | None = None) -> list[str]:
    """The words of `exec` or `logs`, e.g. of "deploy/sleep"."""
    words = ["kubectl", "--context", context, verb, "-n", namespace, target]
    return [*words, *(["-c", container] if container else [])]
