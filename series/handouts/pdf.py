"""PDFs, printed by an installed Chromium without network access."""

import shutil
import tempfile
from pathlib import Path

from pypdf import PdfReader

from helpers.base import command
from helpers.base.errors import ToolMissingError
from series.handouts.document import with_pages

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT = 300  # seconds for one PDF


def chromium() -> str:
    """The path of Chromium.

    Raises:
        ToolMissingError: none of them is installed.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise ToolMissingError(
        "Creating PDFs",
        f"none of {', '.join(NAMES)} is on PATH",
        "apt-get install chromium, then make handouts again. The HTML files are complete without it.",
    )


def write(document: str, out: Path) -> int:
    """Print the document twice, so that its contents have page numbers. Returns the number of pages.

    Raises:
        ToolMissingError: there is no Chromium.
        CommandError: it did not print.
    """
    program = chromium()
    # Next to the result, because Chromium as a snap cannot read /tmp.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="printing-") as folder:
        page = Path(folder) / "page.html"
        page.write_text(document, encoding="utf-8")
        _print(program, page, out)
        if 'class="contents"' in document:
            page.write_text(with_pages(document, anchors(out)), encoding="utf-8")
            _print(program, page, out)
    return len(PdfReader(out).pages)


def anchors(pdf: Path) -> dict[str, int]:
    """The page (from 1) of every link target in the document."""
    reader = PdfReader(pdf)
    found = ((name, reader.get_destination_page_number(to)) for name, to in reader.named_destinations.items())
    return {name.removeprefix("/"): number + 1 for name, number in found if number is not None}


def _print(program: str, page: Path, out: Path) -> None:
    command.run(
        [
            program,
            "--headless",
            "--no-sandbox",  # root cannot use the sandbox, and the page is ours and has no scripts
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={page.parent / 'profile'}",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
            f"--print-to-pdf={out}",
            page.as_uri(),
        ],
        timeout=LIMIT,
    )
