"""Runs the notebooks in order with papermill: `python -m series.run`."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import nbformat
import papermill
import typer
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from traitlets.config import Config

from helpers.base import contents, environment
from helpers.base.command import relative
from helpers.base.errors import SettingsError, TutorialError, for_people
from helpers.base.settings import current
from series import fingerprint, proof
from series.progress import Shown

NOTEBOOKS = proof.NOTEBOOKS
_LONGEST = 70  # bytes of a path to which "/kernel-…/s-1" is added
console = Console(highlight=False, soft_wrap=True)


def notebooks(numbers: Collection[str] = contents.NOTEBOOKS.keys()) -> list[Path]:
    """The notebooks of these numbers in reading order, the clean-up last; all by default."""
    return [NOTEBOOKS / f"{name}.ipynb" for number, name in contents.NOTEBOOKS.items() if number in numbers]


def executed() -> Path:
    """The folder of the executed copies; each lab, and the real accounts, have one of their own."""
    return current().TUTORIAL_BUILD_DIR / "run"


def run(notebook: Path, out: Path, shown: Shown | None = None) -> Path:
    """Execute one notebook as a reader would, in its own folder; returns the executed copy.

    `shown` is notified which cell runs and what it prints.

    Raises:
        PapermillExecutionError: a cell failed; the copy holds the output up to there.
    """
    out.mkdir(parents=True, exist_ok=True)
    copy = out / notebook.name
    # papermill passes them on: https://nbclient.readthedocs.io/en/latest/client.html
    hooks = {"on_cell_start": shown.cell_begins, "on_cell_executed": shown.cell_ends} if shown else {}
    with _own_folder() as folder, environment.only(_of_the_kernel(folder)):
        # Files instead of ports: other users cannot reach the kernel, and it prints no warning about that.
        local = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/s"}})
        papermill.execute_notebook(
            notebook,
            copy,
            cwd=NOTEBOOKS,
            kernel_name="python3",
            start_timeout=300,  # seconds; on a slow machine, Python takes more than the default 60
            progress_bar=False,
            request_save_on_cell_execute=False,
            config=local,
            extra_arguments=["--log-level=CRITICAL"],  # interrupting the kernel at the end is not an error
            stdout_file=shown,
            **hooks,
        )
    return copy


def _own_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder with a short path: with a socket's name, 107 bytes at most (unix(7))."""
    long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST
    return tempfile.TemporaryDirectory(prefix="kernel-", dir="/tmp" if long else None)


def _of_the_kernel(folder: str) -> dict[str, str]:
    """An environment without start-up files, kernels or configuration of the reader's IPython and Jupyter.

    https://docs.jupyter.org/en/latest/use/jupyter-directories.html
    """
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = dict.fromkeys(folders, folder) | {"JUPYTER_PREFER_ENV_PATH": "1"}
    return current().environment() | own


def text_of(notebook: Path, tag: str) -> str:
    """The output of the cells with this tag."""
    cells: list[Any] = nbformat.read(notebook, as_version=4).cells
    outputs = [o for cell in cells if tag in cell.metadata.get("tags", []) for o in cell.get("outputs", [])]
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


@for_people
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="numbers, like 01 02; 00 to 06 by default")
    ] = None,
    first: Annotated[str, typer.Option("--from", help="the first one, like 04, and those after it")] = "",
    last: Annotated[
        str, typer.Option("--to", help="the last one; without --from, finished ones are skipped")
    ] = "",
    beyond: Annotated[bool, typer.Option("--all", help="also those after 06, but not the clean-up")] = False,
    write: Annotated[
        bool, typer.Option(help="put the outputs into notebooks/, to be committed; of all, by default")
    ] = False,
) -> None:
    """Run the series; stop at the first notebook that fails."""
    numbers = names or by_default(beyond, write)
    chosen = between(first, last, beyond) if first or last else notebooks(numbers)
    start, done, codes = time.monotonic(), [], {}
    for notebook in chosen:
        if last and not first and _finished(notebook):
            continue
        codes[notebook] = fingerprint.of(nbformat.read(notebook, as_version=4))
        _run_with_progress(notebook)
        done.append(notebook)
    seconds = time.monotonic() - start
    console.print(f"\n{len(done)} notebooks in {seconds:.0f} s. Executed copies: {relative(executed())}/")
    if write:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        for notebook, code in codes.items():
            _write_back(notebook, code, moment)
    if page := "".join(text_of(executed() / n.name, "the-page") for n in done):
        console.print("\nThe response that the pod in GKE got from the Lambda function:\n")
        console.print(page, markup=False)
        console.print("Read on: notebooks/00-introduction.ipynb, or `make lab` to run it cell by cell.")


def by_default(beyond: bool, write: bool) -> list[str]:
    """Numbers of the article's notebooks, of those beyond it if asked for, or of all."""
    if write:
        return list(contents.NOTEBOOKS)
    return contents.ARTICLE + (contents.BEYOND if beyond else [])


def between(first: str, last: str, beyond: bool = False) -> list[Path]:
    """The notebooks from one number to another; without the last, to 06 or, if asked for, beyond.

    Raises:
        SettingsError: there is no notebook of that number, or they are in the wrong order.
    """
    numbers = contents.ARTICLE + contents.BEYOND
    first = contents.chosen("FROM", first or "00", numbers)
    end = numbers if beyond or first in contents.BEYOND else contents.ARTICLE
    last = contents.chosen("TO", last or end[-1], numbers)
    if first > last:
        raise SettingsError("Choosing the notebooks", f"FROM={first} comes after TO={last}", "FROM=04 TO=05")
    return notebooks([number for number in numbers if first <= number <= last])


def _finished(notebook: Path) -> bool:
    """Whether all that it creates exists, and its check passes without a change; prints it."""
    number = notebook.name[:2]
    if number >= "06":  # it leaves nothing behind: running it is the proof
        return False
    if proof.missing(number, proof.exists()) or any(claim.why for claim in proof.prove(notebook)):
        return False
    console.print(f"{notebook.stem:<38} already finished", markup=False)
    return True


def _run_with_progress(notebook: Path) -> None:
    try:
        with Shown(console, notebook.stem, nbformat.read(notebook, as_version=4)) as shown:
            run(notebook, executed(), shown)
    except PapermillExecutionError as error:
        console.print(f"\n{notebook.name}, cell {error.exec_count}:\n\n{error.source}\n", markup=False)
        console.print(f"{error.ename}: {error.evalue}", markup=False)
        console.print(
            f"\nIts outputs: {relative(executed() / notebook.name)}. Fix the cause and run it again."
        )
        sys.exit(1)


def _write_back(notebook: Path, code: str, run: str) -> None:
    """Copy outputs into the committed notebook, without what papermill adds, except the seconds.

    Raises TutorialError if the code is another than before the run: the outputs are not of the present one.
    """
    made = nbformat.read(executed() / notebook.name, as_version=4)
    if fingerprint.of(made) != code:
        raise TutorialError(f"Saving the outputs of {notebook.stem}", "the code changed while it ran")
    seconds = [round(cell.metadata.papermill.duration, 1) for cell in made.cells if cell.cell_type == "code"]
    fingerprint.stamp(made, run, seconds)
    made.metadata.pop("papermill", None)
    for cell in made.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = as_seen(cell.outputs)
        # papermill adds the key if the author set no tags
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    nbformat.write(made, notebook)


def as_seen(outputs: list[Any]) -> list[Any]:
    """The final output: consecutive prints are merged, and overwritten lines are removed."""
    seen: list[Any] = []
    for output in outputs:
        if seen and output.output_type == "stream" and output.get("name") == seen[-1].get("name"):
            seen[-1].text += output.text
        else:
            seen.append(output)
    for output in seen:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        elif "image/svg+xml" in output.get("data", {}):
            output.data.pop("text/html", None)  # the same picture; GitHub strips SVG out of HTML
    return [output for output in seen if output.output_type != "stream" or output.text]


if __name__ == "__main__":
    typer.run(main)
