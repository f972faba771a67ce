"""`python -m series.handouts`: HTML, PDF and participants' notebooks of the series in build/handouts."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from helpers.base.command import relative
from helpers.base.errors import ToolMissingError, TutorialError, for_people
from helpers.base.settings import ROOT
from series.handouts import chapter, document, participants, pdf
from series.run import NOTEBOOKS, executed, notebooks

OUT = ROOT / "build" / "handouts"
IMAGES = NOTEBOOKS / "images"

console = Console(highlight=False, soft_wrap=True)


@for_people
def main(
    run: Annotated[
        bool, typer.Option("--executed", help="from the last run instead of the committed notebooks")
    ] = False,
) -> None:
    """Create handouts from the notebooks."""
    make(executed() if run else NOTEBOOKS)


def make(source: Path = NOTEBOOKS, out: Path = OUT) -> None:
    """HTML and, if Chromium is installed, PDF of the series and of each notebook; participants' notebooks.

    Raises:
        TutorialError: the folder has no notebook, or Chromium failed.
    """
    start, source, out = time.monotonic(), source.resolve(), out.resolve()
    paths = [source / path.name for path in notebooks() if (source / path.name).exists()]
    if not paths:
        raise TutorialError("Creating handouts", f"no notebook of the series is in {source}")
    out.mkdir(parents=True, exist_ok=True)
    chapters = [chapter.read(path, IMAGES) for path in paths]
    documents = {document.PACKAGE: document.series(chapters)}
    documents |= {Path(each.file).stem: document.single(each) for each in chapters}
    for name, text in documents.items():
        (out / f"{name}.html").write_text(text, encoding="utf-8")
    participants.write_all(paths, IMAGES, out / "participants")
    console.print(f"{len(documents)} HTML files, {len(paths)} participants' notebooks: {relative(out)}/")
    _pdfs(documents, out)
    console.print(f"Handouts in {time.monotonic() - start:.0f} s")


def _pdfs(documents: dict[str, str], out: Path) -> None:
    try:
        pdf.chromium()
    except ToolMissingError as missing:
        console.print(f"No PDFs: {missing.answer}. Try: {missing.hint}", markup=False)
        return
    with ThreadPoolExecutor(os.cpu_count()) as printers:
        counts = printers.map(lambda name: pdf.write(documents[name], out / f"{name}.pdf"), documents)
        for name, count in zip(documents, counts, strict=True):
            console.print(f"{name}.pdf: {count} pages")


if __name__ == "__main__":
    typer.run(main)
