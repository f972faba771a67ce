"""`make machines`: the tutorial in fresh virtual machines, and a table of the results."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab import binaries
from lab.settings import Lab
from tests.machines import image
from tests.machines.machine import Kind, choose, run
from tests.machines.result import STEPS, Result

PLACE = image.CHECKOUT / "build" / "machines"
LIMIT = 3 * 3600  # seconds for one emulated machine on two busy cores
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "linux.uml": "user-mode-linux",
    "mmdebstrap": "mmdebstrap",
    "dpkg-scanpackages": "dpkg-dev",
    "mke2fs": "e2fsprogs",
}

console = Console(highlight=False, soft_wrap=True)


def main(
    releases: Annotated[list[str] | None, typer.Argument(help="bookworm and trixie by default")] = None,
    kind: Annotated[Kind | None, typer.Option("--with", help="KVM where it works, else TCG")] = None,
) -> None:
    """Run the tutorial in each machine and print a table; fails unless all passed and nothing is left."""
    _refuse_incomplete(kind)
    table = Table("machine", "with", *(f"make {step}" for step in STEPS), "left after down")
    passed = True
    for release in releases or list(image.MACHINES):
        console.print(f"{release}: making the disk …")
        root = image.root(image.MACHINES[release], PLACE / release)
        chosen = kind or choose(root)
        result = _try(chosen, root, image.disk(root))
        table.add_row(*result.row(chosen))
        passed = passed and result.passed
    console.print(table)
    sys.exit(not passed)


def _try(kind: Kind, root: Path, disk: Path) -> Result:
    result = Result()
    log = root.with_name("console.log")
    console.print(f"running it with {kind.upper()}; all it says is in {log}")
    try:
        for line in run(kind, root, disk, log, LIMIT):
            if line.startswith("@@ "):
                console.print(f"  {line[3:]}", markup=False)
                result.read(line)
    except TimeoutError as error:
        console.print(f"  {error}")
    return result


def _refuse_incomplete(kind: Kind | None) -> None:
    if os.getuid():
        sys.exit("Making a disk with other users' files in it needs root: sudo -E make machines")
    other = "qemu-system-x86_64" if kind is Kind.UML else "linux.uml"
    if lacking := [package for tool, package in TOOLS.items() if tool != other and not shutil.which(tool)]:
        sys.exit(f"Missing: apt-get install --no-install-recommends {' '.join(lacking)}")
    if not binaries.is_built(Lab().cache):
        sys.exit("The lab's programs are not built: make setup")


if __name__ == "__main__":
    typer.run(main)
