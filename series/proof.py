"""Runs a notebook's code again in read-only mode, to see whether its claims still hold.

Helpers change only what is missing or different. If nothing is, the code runs through; otherwise the first
step that would change something raises ChangeNeededError (helpers/base/changes.py), which names it.
"""

import ast
import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import nbformat

from helpers import acm, cleanup, dns, state
from helpers.aws import node_group
from helpers.base import contents
from helpers.base.errors import ChangeNeededError, TutorialError
from helpers.base.settings import ROOT, override
from helpers.pictures.things import Parts

NOTEBOOKS = ROOT / "notebooks"
_ONLY_SHOW = ("cost", "follow", "show", "state")
_UNDRAWN = {"certificate": acm.find, "record": dns.find, "nodes": node_group.find}


class Claim(NamedTuple):
    """A claim of a notebook's check; `why` says why it does not hold, and is empty if it does."""

    text: str
    why: str = ""


def exists() -> Parts:
    """What exists in both clouds and both clusters, whatever is in the kubeconfig."""
    with cleanup.looking(), redirect_stdout(io.StringIO()):
        return state.gather()


def begun(parts: Parts) -> list[str]:
    """Numbers of the notebooks that were run: all up to the last one that created something that exists.

    Notebook 06 creates nothing; it is included as soon as 05 is complete.
    """
    numbers = contents.ARTICLE
    made = {contents.THINGS[key].notebook for key, part in parts.items() if part.phase != "missing"}
    last = max(made, default="")
    if last == numbers[-2] and not missing(last, parts):
        last = numbers[-1]
    return [number for number in numbers if number <= last]


def missing(number: str, parts: Parts) -> list[str]:
    """Names of what that notebook creates and what does not exist, or is not ready."""
    made = {key: thing for key, thing in contents.THINGS.items() if thing.notebook == number}
    return [
        thing.name
        for key, thing in made.items()
        if not (parts[key].phase == "ready" if thing.drawn else _UNDRAWN[key]())
    ]


def prove(notebook: Path) -> Iterator[Claim]:
    """The claims of the notebook's check, after its other code cells have run again in read-only mode.

    If a cell fails, the only claim is that cell.
    """
    *steps, check = _code(notebook)
    names: dict[str, object] = {}
    with override(TUTORIAL_READ_ONLY=True), redirect_stdout(io.StringIO()):
        claims = list(_steps(notebook, steps, names)) or list(_claims(check, names))
    yield from claims


def _code(notebook: Path) -> list[ast.Module]:
    """The code cells without what only displays something; the check is the last."""
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    parsed = [ast.parse(source) for source in cells]
    for cell in parsed:
        cell.body = [statement for statement in cell.body if not _only_shows(statement)]
    return [cell for cell in parsed if cell.body]


def _only_shows(statement: ast.stmt) -> bool:
    """Whether it is like `state.now()`: its result is only displayed."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=module)))):
            return module in _ONLY_SHOW
    return False


def _steps(notebook: Path, steps: list[ast.Module], names: dict[str, object]) -> Iterator[Claim]:
    """The cell that failed, if one did."""
    for cell in steps:
        try:
            exec(compile(cell, notebook.name, "exec"), names)
        except Exception as failed:
            yield Claim(ast.unparse(cell).splitlines()[-1], _said(failed))
            return


def _claims(check: ast.Module, names: dict[str, object]) -> Iterator[Claim]:
    match check.body:
        case [ast.Expr(value=ast.Call(args=[ast.Dict(keys=keys, values=values)]))]:
            for text, holds in zip(keys, values, strict=True):
                yield Claim(str(ast.literal_eval(text or "")), _refuted(holds, names))
        case _:
            raise ValueError("the last code cell is not check({…})")


def _refuted(claim: ast.expr, names: dict[str, object]) -> str:
    """Why the claim does not hold; "" where it does."""
    try:
        holds = eval(compile(ast.Expression(claim), "check", "eval"), names)
    except Exception as failed:
        return _said(failed)
    return "" if holds else "it is not true"


def _said(failed: Exception) -> str:
    if isinstance(failed, ChangeNeededError):
        return f"this is missing or different:\n{failed.command}"
    if isinstance(failed, TutorialError):
        return str(failed)
    return f"{type(failed).__name__}: {failed}"
