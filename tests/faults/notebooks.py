"""Runs notebooks' code in this process: `python -m tests.faults.notebooks 00 01 [--die 01:7 SECONDS]`.

With --die, the process group ends by SIGKILL that long after the cell began; `end` is the notebook's end.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


def die() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    place, seconds = "", 0.0
    if "--die" in arguments:
        at = arguments.index("--die")
        place, seconds = arguments[at + 1], float(arguments[at + 2])
        arguments = arguments[:at]
    shell = InteractiveShell.instance()
    os.chdir(NOTEBOOKS)
    for number in arguments:
        [notebook] = NOTEBOOKS.glob(f"{number}-*.ipynb")
        cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
        for index, cell in enumerate([*cells, None]):
            if place == f"{number}:{index if cell else 'end'}":
                threading.Timer(seconds, die).start()
            if cell and not shell.run_cell("".join(cell["source"])).success:
                sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
