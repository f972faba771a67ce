"""Manifests with ${NAME}s, filled in from values and settings."""

from pathlib import Path
from string import Template

from helpers.base.errors import TutorialError
from helpers.base.settings import ROOT, current


def render(path: str, **values: object) -> str:
    """The manifest's text; `path` is relative to the project's root.

    ${NAME} comes from `values`, else from the setting of that name. Raises TutorialError if
    neither has it, or if there is no such file.
    """
    file = ROOT / path
    if not file.is_file():
        raise TutorialError(f"Reading {path}", "there is no such file", "check its name in manifests/.")
    settings = current().model_dump(exclude_none=True)
    try:
        return Template(file.read_text(encoding="utf-8")).substitute(settings, **values)
    except KeyError as missing:
        raise TutorialError(
            f"Filling in {path}", f"there is no value for ${{{missing.args[0]}}}", "pass it by that name."
        ) from None
    except ValueError as wrong:
        raise TutorialError(f"Filling in {path}", str(wrong), "write $$ for a dollar sign.") from None


def write(path: str, context: str, **values: object) -> Path:
    """Render into the build folder, one folder per cluster, and return the file."""
    return write_text(Path(path).name, context, render(path, **values))


def write_text(name: str, context: str, text: str) -> Path:
    """A file of that name beside the rendered manifests of that cluster."""
    file = current().TUTORIAL_BUILD_DIR / "manifests" / context / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
