"""A place inside the VPC for who has no machine there: a pod of the EKS cluster, in its private subnets."""

from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from helpers import eks, kube
from helpers.base.waiting import wait_until
from helpers.clusters import kubeconfig, pods

_POD = "curl"
_NAMESPACE = "default"


def ensure() -> None:
    """Make the pod where it is missing; waits for the cluster and its node where need be."""
    if kubeconfig.has(eks.CONTEXT) and kube.is_ready(eks.CONTEXT, _NAMESPACE, _POD):
        return
    eks.ensure()
    kube.apply(eks.CONTEXT, "manifests/eks/curl.yaml")
    kube.wait_ready(eks.CONTEXT, _NAMESPACE, _POD)


def run(argv: Sequence[str]) -> CompletedProcess[bytes]:
    """Run a program in the pod, which `ensure` has made; files of this machine are copied there."""
    return _execute(
        [_copied(Path(word)) if Path(word).is_absolute() and Path(word).is_file() else word for word in argv]
    )


def _execute(argv: Sequence[str], input: str | None = None) -> CompletedProcess[bytes]:
    return pods.execute(eks.CONTEXT, _NAMESPACE, _POD, argv, input=input)


def _copied(file: Path) -> str:
    there = f"/tmp/{file.name}"
    content = file.read_text(encoding="ascii")  # certificates and keys in PEM
    # What exec is given gets lost at times, without an error, so the file is read back:
    # https://github.com/containerd/containerd/issues/13934
    copy = ["sh", "-c", f"umask 077; cat > {there} && cat {there}"]
    wait_until(
        f"{there} to be whole in pod/{_POD}",
        lambda: _execute(copy, content).stdout.decode(),
        lambda arrived: arrived == content,
        timeout=60,
        state=lambda arrived: f"{len(arrived)} of {len(content)} characters",
        hint=f"kubectl --context {eks.CONTEXT} delete pod {_POD}, then run this again.",
    )
    return there
