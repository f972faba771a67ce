"""A pod inside the VPC, for readers who have no host there: in the EKS cluster's private subnets."""

from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from helpers.base import command
from helpers.base.waiting import wait_until
from helpers.clusters import pods

POD = "curl"
NAMESPACE = "default"


def run(context: str, argv: Sequence[str]) -> CompletedProcess[bytes]:
    """Run a program in the pod, which must exist; files of this machine that it names are copied there."""
    for word in dict.fromkeys(argv):
        if there(word) != word:
            _copy(context, Path(word))
    return pods.execute(context, NAMESPACE, POD, [there(word) for word in argv])


def there(word: str) -> str:
    """Where a file of this machine is in the pod; any other word as it is."""
    file = Path(word)
    return f"/tmp/{file.name}" if file.is_absolute() and file.is_file() else word


def _copy(context: str, file: Path) -> None:
    target = there(str(file))
    content = file.read_text(encoding="ascii")  # certificates and keys in PEM
    # exec's input is sometimes lost without an error, so the file is read back:
    # https://github.com/containerd/containerd/issues/13934
    copy = ["sh", "-c", f"umask 077; cat > {target} && cat {target}"]
    wait_until(
        f"{target} to be complete in pod/{POD}",
        lambda: pods.execute(context, NAMESPACE, POD, copy, input=content).stdout.decode(),
        lambda arrived: arrived == content,
        timeout=60,
        state=lambda arrived: f"{len(arrived)} of {len(content)} characters",
        hint=f"kubectl --context {context} delete pod {POD}, then run this again.",
    )
    write = [*pods.exec_words(context, NAMESPACE, POD, input=True), "sh", "-c", f"umask 077; cat > {target}"]
    command.show(f"{command.shell_join(write)} < {command.shell_join([file])}")
