"""Runs notebooks' code in this process: `python -m tests.faults.notebooks 00 01 [--die 01:7 SECONDS]`.

A notebook is named by its number or its path, and gets its own namespace. A line for each says that it
passed, or in which code cell, counted from 1, it failed. A failing notebook ends the run, unless `--go-on` is
set. With `--die`, the process group is killed (SIGKILL) that long after the cell started; `end` means the end
of the notebook.
"""

import argparse
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


def run(shell: InteractiveShell, notebook: Path, die_before: str, seconds: float) -> str:
    """Returns the cell and the error that ended the notebook; "" if none did."""
    number = notebook.name[:2]
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    for index, cell in enumerate([*cells, None]):
        if die_before == f"{number}:{index if cell else 'end'}":
            threading.Timer(seconds, die).start()
        if cell and not (done := shell.run_cell("".join(cell["source"]))).success:
            error = done.error_before_exec or done.error_in_exec
            return f"cell {index + 1}: {type(error).__name__}: {error}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notebooks", nargs="+")
    parser.add_argument("--go-on", action="store_true")
    parser.add_argument("--die", nargs=2, default=("", "0"))
    given = parser.parse_args()
    named = [
        Path(name).resolve() if "/" in name else next(NOTEBOOKS.glob(f"{name}-*")) for name in given.notebooks
    ]
    shell = InteractiveShell.instance()
    os.chdir(NOTEBOOKS)
    failed = False
    for notebook in named:
        shell.reset()
        error = run(shell, notebook, given.die[0], float(given.die[1]))
        print(f"{notebook.stem}, {error}" if error else f"{notebook.stem}: passed", flush=True)
        failed = failed or bool(error)
        if failed and not given.go_on:
            break
    sys.exit(failed)


if __name__ == "__main__":
    main()
