"""Tables and texts that a notebook displays as HTML or Markdown."""

import html
from collections.abc import Mapping, Sequence
from typing import Any


class Table:
    """Rows under headings: aligned text in a terminal, HTML in a notebook."""

    def __init__(self, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.headers = list(headers)
        self.rows = [["" if cell is None else str(cell) for cell in row] for row in rows]

    def __repr__(self) -> str:
        lines = [self.headers, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headers))]
        return "\n".join(
            "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        style = ' style="text-align: left"'
        head = "".join(f"<th{style}>{html.escape(name)}</th>" for name in self.headers)
        body = "".join(
            "<tr>" + "".join(f"<td{style}>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Rich:
    """Something shown as HTML or Markdown in a notebook and as text elsewhere."""

    def __init__(self, text: str, **forms: str) -> None:
        self.text, self.forms = text, forms

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.text, **{f"text/{name}": form for name, form in self.forms.items()}}


def table(rows: Sequence[Mapping[str, Any] | Sequence[Any]], headers: Sequence[str] | None = None) -> Table:
    """A table from mappings (their keys are the headings) or from sequences with `headers`."""
    if headers is None:
        headers = list(rows[0]) if rows and isinstance(rows[0], Mapping) else []
    return Table(headers, [list(row.values()) if isinstance(row, Mapping) else list(row) for row in rows])
