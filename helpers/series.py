"""Runs the notebooks in order with papermill: `python -m helpers.series`."""

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import nbformat
import papermill
import typer
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from traitlets.config import Config

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = PROJECT / "notebooks"
EXECUTED = PROJECT / "build" / "run"
CLEAN_UP = "99-clean-up"

# Files instead of ports: the kernel is out of other users' reach, and says no word about that.
LOCAL = Config({"KernelManager": {"transport": "ipc"}})

console = Console(highlight=False, soft_wrap=True)


def notebooks() -> list[Path]:
    """The series in the order in which it is read, the clean-up last."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))


class Waits:
    """What a notebook prints, of which the terminal hears once a minute what is waited for."""

    def __init__(self) -> None:
        self._minute = 0

    def write(self, text: str) -> None:
        for line, seconds in re.findall(r"(… [^\r\n]*? \((\d+) s\))", text):
            minute, self._minute = self._minute, int(seconds) // 60
            if self._minute > minute:
                console.print(f"\n   {line}", end=" ", markup=False)

    def flush(self) -> None: ...


def run(notebook: Path, out: Path = EXECUTED, heard: Waits | None = None) -> Path:
    """Execute one notebook as a reader would, in its own folder; returns the executed copy.

    `heard` is told what the cells print, while they do.

    Raises:
        PapermillExecutionError: a cell failed; the copy holds the output up to there.
    """
    out.mkdir(parents=True, exist_ok=True)
    copy = out / notebook.name
    papermill.execute_notebook(
        notebook,
        copy,
        cwd=NOTEBOOKS,
        kernel_name="python3",
        start_timeout=300,  # seconds; on a slow machine, Python and its packages take more than the usual 60
        progress_bar=False,
        request_save_on_cell_execute=False,
        stdout_file=heard,
        config=LOCAL,
    )
    return copy


def text_of(notebook: Path, tag: str) -> str:
    """What the cells with this tag printed."""
    cells: list[Any] = nbformat.read(notebook, as_version=4).cells
    outputs = [o for cell in cells if tag in cell.metadata.get("tags", []) for o in cell.get("outputs", [])]
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="numbers, like 01 02; all but the clean-up by default")
    ] = None,
    write: Annotated[bool, typer.Option(help="put the outputs into notebooks/, to be committed")] = False,
) -> None:
    """Run the series; stop at the first notebook that fails."""
    chosen = [n for n in notebooks() if (n.name[:2] in names if names else write or n.stem != CLEAN_UP)]
    start = time.monotonic()
    for notebook in chosen:
        _run_with_progress(notebook)
    console.print(
        f"\n{len(chosen)} notebooks in {time.monotonic() - start:.0f} s. Executed copies: build/run/"
    )
    if write:
        for notebook in chosen:
            _write_back(notebook)
    if page := "".join(text_of(EXECUTED / n.name, "the-page") for n in chosen):
        console.print("\nThe answer that the pod in Google's cloud got from the private Lambda function:\n")
        console.print(page, markup=False)
        console.print("Read on: notebooks/00-introduction.ipynb, or `make lab` to run it cell by cell.")


def _run_with_progress(notebook: Path) -> None:
    start = time.monotonic()
    console.print(f"{notebook.stem} … ", end="")
    try:
        run(notebook, heard=Waits())
    except PapermillExecutionError as error:
        console.print(f"failed after {time.monotonic() - start:.1f} s")
        console.print(f"\n{notebook.name}, cell {error.exec_count}:\n\n{error.source}\n", markup=False)
        console.print(f"{error.ename}: {error.evalue}", markup=False)
        console.print(
            f"\nIts outputs up to there: build/run/{notebook.name}. Fix the cause and run it again."
        )
        sys.exit(1)
    console.print(f"{time.monotonic() - start:.1f} s")


def _write_back(notebook: Path) -> None:
    """Outputs go into the committed notebook; what papermill and the clock add does not."""
    executed = nbformat.read(EXECUTED / notebook.name, as_version=4)
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = as_seen(cell.outputs)
        # papermill adds the key where the author gave no tags
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    nbformat.write(executed, notebook)


def as_seen(outputs: list[Any]) -> list[Any]:
    """What a reader sees in the end: prints in a row are one, and a line that was written over is gone."""
    seen: list[Any] = []
    for output in outputs:
        if seen and output.output_type == "stream" and output.get("name") == seen[-1].get("name"):
            seen[-1].text += output.text
        else:
            seen.append(output)
    for output in seen:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return [output for output in seen if output.output_type != "stream" or output.text]


if __name__ == "__main__":
    typer.run(main)
