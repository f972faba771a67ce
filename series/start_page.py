"""The page that `make lab` opens: the series' contents, its progress, and where it runs."""

import html
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.exceptions import PapermillExecutionError

from helpers import cost, state
from helpers.base import command
from helpers.base.contents import BEYOND
from helpers.base.errors import TutorialError, for_people
from helpers.base.settings import ROOT, current
from helpers.base.tables import Rich
from helpers.pictures.things import THINGS, Parts
from series import copies, run

PAGE = ROOT / "build" / "start.ipynb"
_INTRODUCTION = """\
# Call an AWS Lambda function from Google Cloud

Click a notebook to open it, and run its cells with Shift-Enter: 0 to 6 in this order, then any of
the later ones, and 99 at the end. They are your own copies, in `my-notebooks/`: edit them as you like.
The cells below query both clouds each time they run; to refresh this page, choose `Run ▸ Run All Cells`."""
_IMPORTS = "from helpers import state\nfrom series import start_page"
_STEPS = (
    ("## The series", "start_page.contents()"),
    ("## What exists now", "state.now()"),
    ("## Where it runs", "start_page.place()"),
)


def contents() -> Rich:
    """The notebooks: title, measured time in the lab, and whether what each one creates exists."""
    parts = state.gather()
    rows = []
    for path in run.notebooks():
        notebook = nbformat.read(path, as_version=4)
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        seconds = sum(notebook.metadata.get("tutorial", {}).get("seconds", []))
        rows.append((path, title, f"{seconds:.0f} s", _how_far(path.name[:2], parts)))
    links = [(f"[{title}](../{copies.FOLDER.name}/{path.name})", *more) for path, title, *more in rows]
    table = [("notebook", "in our lab", "what it creates"), (":--",) * 3, *links]
    return Rich(
        "\n".join(f"{title:<45} {seconds:>6}  {how_far}" for _, title, seconds, how_far in rows),
        markdown="\n".join(f"| {' | '.join(row)} |" for row in table),
    )


def place() -> Rich:
    """Where these notebooks run; on real accounts, also what an hour costs."""
    if argv := current().TUTORIAL_STATUS_COMMAND:
        text = command.run(argv).text
    else:
        places = f"{current().AWS_REGION} and {current().GOOGLE_CLOUD_LOCATION}"
        text = f"{places}, in your own accounts\n{cost.table()}"
    return Rich(text, html=f"<pre>{html.escape(text)}</pre>")


def write(page: Path = PAGE) -> Path:
    """Create the page and run it, so that it opens with results; returns its file."""
    cells: list[Any] = [
        new_markdown_cell(_INTRODUCTION),
        new_code_cell(_IMPORTS),
    ]
    for heading, code in _STEPS:
        cells += [new_markdown_cell(heading), new_code_cell(code)]
    page.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), page)
    try:
        return run.run(page, page.parent)
    except PapermillExecutionError as error:
        raise TutorialError("Creating the start page", f"{error.ename}: {error.evalue}") from error


def _how_far(number: str, parts: Parts) -> str:
    made = [key for key, thing in THINGS.items() if thing.notebook == number]
    there = sum(parts[key].phase == "ready" for key in made)
    broken = [THINGS[key].name for key in made if parts[key].phase == "failed"]
    if broken:
        return f"✗ broken: {', '.join(broken)}"
    if number in BEYOND:
        return "undoes its own changes"
    if not made:
        return "creates nothing"
    if there == len(made):
        return "✓ complete"
    return f"… {there} of {len(made)} exist" if there else "not yet"


@for_people
def main() -> None:
    """Run by `make lab` before JupyterLab."""
    for line in copies.refresh():
        print(line)
    write()


if __name__ == "__main__":
    main()
