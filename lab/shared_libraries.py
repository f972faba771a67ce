"""Which shared libraries a program of this machine is linked to."""

import re
import subprocess
from pathlib import Path

from lab.as_root import program

_PATH = re.compile(r"(?:^\s+|=> )(/.+?)(?= => | \(0x)", re.MULTILINE)


def of(*programs: Path) -> set[Path]:
    """The libraries and the loader, as `ldd` names them; empty for a static program."""
    answer = subprocess.run([program("ldd"), *programs], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in _PATH.findall(answer)}
