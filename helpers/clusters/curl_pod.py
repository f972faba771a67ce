"""A place inside the VPC, if you have no host there: a pod of the EKS cluster, in its private subnets."""

from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from helpers.base.waiting import wait_until
from helpers.clusters import pods

POD = "curl"
NAMESPACE = "default"


def run(context: str, argv: Sequence[str]) -> CompletedProcess[bytes]:
    """Run a program in the pod, which must exist; files of this machine that it names are copied there."""
    files = {word for word in argv if Path(word).is_absolute() and Path(word).is_file()}
    words = [_copied(context, Path(word)) if word in files else word for word in argv]
    return pods.execute(context, NAMESPACE, POD, words)


def _copied(context: str, file: Path) -> str:
    there = f"/tmp/{file.name}"
    content = file.read_text(encoding="ascii")  # certificates and keys in PEM
    # exec's input is sometimes lost without an error, so the file is read back:
    # https://github.com/containerd/containerd/issues/13934
    copy = ["sh", "-c", f"umask 077; cat > {there} && cat {there}"]
    wait_until(
        f"{there} to be whole in pod/{POD}",
        lambda: pods.execute(context, NAMESPACE, POD, copy, input=content).stdout.decode(),
        lambda arrived: arrived == content,
        timeout=60,
        state=lambda arrived: f"{len(arrived)} of {len(content)} characters",
        hint=f"kubectl --context {context} delete pod {POD}, then run this again.",
    )
    return there
