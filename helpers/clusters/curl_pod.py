"""A place inside the VPC for who has no machine there: a pod of the EKS cluster, in its private subnets."""

from collections.abc import Sequence
from pathlib import Path

from helpers import eks, kube
from helpers.base import command
from helpers.base.waiting import wait_until
from helpers.clusters import kubeconfig

_POD = "curl"
_EXEC = ["kubectl", "--context", eks.CONTEXT, "exec", "-n", "default", "-i", _POD, "--"]


def ensure() -> list[str]:
    """The command prefix that runs a program in the pod; waits for the cluster and its node where need be."""
    if _is_ready():
        return _EXEC
    eks.ensure()
    kube.apply(eks.CONTEXT, "manifests/eks/curl.yaml")
    kube.kubectl(
        eks.CONTEXT, "-n", "default", "wait", f"pod/{_POD}", "--for=condition=Ready", "--timeout=300s"
    )
    return _EXEC


def _is_ready() -> bool:
    if not kubeconfig.has(eks.CONTEXT):
        return False
    wait = ("-n", "default", "wait", f"pod/{_POD}", "--for=condition=Ready", "--timeout=0")
    return kube.kubectl(eks.CONTEXT, *wait, check=False, show=False).exit_code == 0


def carry(words: Sequence[str]) -> list[str]:
    """The words of a command as they hold in the pod: files of this machine are copied there."""
    return [
        _copied(Path(word)) if Path(word).is_absolute() and Path(word).is_file() else word for word in words
    ]


def _copied(file: Path) -> str:
    there = f"/tmp/{file.name}"
    content = file.read_text(encoding="ascii")  # certificates and keys in PEM
    # What exec is given gets lost at times, without an error, so the file is read back:
    # https://github.com/containerd/containerd/issues/13934
    copy = [*_EXEC, "sh", "-c", f"umask 077; cat > {there} && cat {there}"]
    wait_until(
        f"{there} to be whole in pod/{_POD}",
        lambda: command.run(copy, input=content).text,
        lambda arrived: arrived == content,
        timeout=60,
        state=lambda arrived: f"{len(arrived)} of {len(content)} characters",
        hint=f"kubectl --context {eks.CONTEXT} delete pod {_POD}, then run this again.",
    )
    return there
