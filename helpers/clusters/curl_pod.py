"""A pod inside the VPC, for readers who have no host there: in the EKS cluster's private subnets."""

from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from helpers.base import changes, command
from helpers.base.waiting import wait_until
from helpers.clusters import kubectl, pods

POD = "curl"
NAMESPACE = "default"


def run(context: str, argv: Sequence[str]) -> CompletedProcess[bytes]:
    """Run a program in the pod, which must exist; it gets the files of this machine that the words name."""
    for word in dict.fromkeys(argv):
        if there(word) != word:
            _ensure(context, Path(word))
    return pods.execute(context, NAMESPACE, POD, [there(word) for word in argv])


def there(word: str) -> str:
    """Where a file of this machine is in the pod; any other word as it is."""
    file = Path(word)
    return f"/tmp/{file.name}" if file.is_absolute() and file.is_file() else word


def _ensure(context: str, file: Path) -> None:
    """Copy the file, unless the pod has it with the same contents."""
    target = there(str(file))
    content = file.read_text(encoding="ascii")  # certificates and keys in PEM
    if pods.execute(context, NAMESPACE, POD, ["cat", target]).stdout.decode() == content:
        return
    write = ["sh", "-c", f"umask 077; cat > {target}"]
    words = [*pods.exec_words(context, NAMESPACE, POD, input=True), *write]
    line = f"{command.shell_join(words)} < {command.shell_join([file])}"
    changes.begin(line)
    # exec's input is sometimes lost without an error, so the file is read back:
    # https://github.com/containerd/containerd/issues/13934
    copy = [*write[:-1], f"{write[-1]} && cat {target}"]
    wait_until(
        f"{target} to be complete in pod/{POD}",
        lambda: pods.execute(context, NAMESPACE, POD, copy, input=content).stdout.decode(),
        lambda arrived: arrived == content,
        timeout=60,
        state=lambda arrived: f"{len(arrived)} of {len(content)} characters",
        hint=f"{kubectl.line(context, 'delete', 'pod', POD)}, then run this again.",
    )
    command.show_change(line)
