"""A view of the machine's file system with its own /run, /var/lib and /var/log.

Container runtimes and kubelets keep state at fixed paths (/var/lib/kubelet/device-plugins, /var/lib/cni,
/run/containerd, /run/netns, /var/log/containers). Each node has its own in a mount namespace: the machine's
are not touched, nodes do not conflict, and all of a node's mounts end with its last process.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

from lab.as_root import program

OWN = (Path("/run"), Path("/var/lib"), Path("/var/log"))
NO_TEXTS: Mapping[str, str] = {}


class View:
    """`root` is the folder on the machine that holds the view's own directories."""

    def __init__(self, root: Path, visible: list[Path], texts: Mapping[str, str] = NO_TEXTS) -> None:
        """`visible`: folders and files that stay visible even below one of the view's own directories.

        `texts`: existing files (path → text) that the view replaces with copies, for reading and writing.
        """
        self.root = root
        self._visible, self._texts = visible, texts

    def path(self, inside: str) -> Path:
        """The machine's path of a path inside one of the view's own directories."""
        return self.root / inside.lstrip("/")

    def create(self) -> None:
        for own in OWN:
            self.path(str(own)).mkdir(parents=True, exist_ok=True)
        for file, text in self._texts.items():
            self.path(file).parent.mkdir(parents=True, exist_ok=True)
            self.path(file).write_text(text)

    def enter_new(self, *argv: str | Path) -> list[str]:
        """The command line that creates the view and runs `argv` in it, in the same process."""
        mount, lines = program("mount"), []
        for path in self._visible:
            if any(path.is_relative_to(own) for own in OWN):
                place = self.path(str(path))
                place.parent.mkdir(parents=True, exist_ok=True)
                place.mkdir(exist_ok=True) if path.is_dir() else place.touch()
                lines.append(f"{mount} --rbind {_quote(path)} {_quote(place)}")
        for own in (*self._texts, *OWN):
            lines.append(f"{mount} --rbind {_quote(self.path(str(own)))} {own}")
        # Shared only among the view's own processes, as pods may use mount propagation.
        lines += [f"{mount} --make-rshared /", 'exec "$@"']
        unshare = [program("unshare"), "--mount", "--propagation", "private", "--"]
        return [*unshare, program("sh"), "-euc", "\n".join(lines), "view", *map(str, argv)]

    @staticmethod
    def enter(pid: int, *argv: str | Path) -> list[str]:
        """The command line that runs `argv` in the view of process `pid`."""
        return [program("nsenter"), f"--mount=/proc/{pid}/ns/mnt", "--", *map(str, argv)]


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
