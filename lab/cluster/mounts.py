"""A view of the machine's file system with /run, /var/lib and /var/log of its own.

Container runtimes and kubelets keep state at fixed paths (/var/lib/kubelet/device-plugins, /var/lib/cni,
/run/containerd, /run/netns, /var/log/containers). In a mount namespace each node has its own, the machine's
stay untouched, two nodes do not meet, and all of a node's mounts end with its last process.
"""

import shlex
import shutil
from pathlib import Path

OWN = (Path("/run"), Path("/var/lib"), Path("/var/log"))


class View:
    """`root` is the folder on the machine that holds the view's own directories."""

    def __init__(self, root: Path, visible: list[Path]) -> None:
        """`visible`: what else must be seen at its usual path, though it may lie below an own directory."""
        self.root = root
        self._visible = visible

    def path(self, inside: str) -> Path:
        """Where a path inside one of the own directories lies on the machine."""
        return self.root / inside.lstrip("/")

    def create(self) -> None:
        for own in OWN:
            self.path(str(own)).mkdir(parents=True, exist_ok=True)

    def enter_new(self, *argv: str | Path) -> list[str]:
        """The command line that makes the view and becomes `argv` in it; no process is added."""
        lines = []
        for path in self._visible:
            if any(path.is_relative_to(own) for own in OWN):
                place = self.path(str(path))
                place.mkdir(parents=True, exist_ok=True)
                lines.append(f"mount --rbind {_quote(path)} {_quote(place)}")
        lines += [f"mount --rbind {_quote(self.path(str(own)))} {own}" for own in OWN]
        # Shared among the view's own processes only, as pods may ask for mount propagation.
        lines += ["mount --make-rshared /", 'exec "$@"']
        unshare = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*_full(unshare), *_full(["sh"]), "-euc", "\n".join(lines), "view", *map(str, argv)]

    @staticmethod
    def enter(pid: int, *argv: str | Path) -> list[str]:
        """The command line that becomes `argv` in the view that process `pid` lives in."""
        return [*_full(["nsenter"]), f"--mount=/proc/{pid}/ns/mnt", "--", *map(str, argv)]


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


def _full(argv: list[str]) -> list[str]:
    return [shutil.which(argv[0]) or argv[0], *argv[1:]]
