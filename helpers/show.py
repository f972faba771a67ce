"""What a notebook displays besides commands: tables, versions, settings, the page, manifests."""

import html
import re
import sys
from importlib.metadata import version
from pathlib import Path

import yaml

from helpers.base import command
from helpers.base.errors import CommandError, ToolMissingError
from helpers.base.settings import ROOT, current
from helpers.base.tables import Rich, Table, table
from helpers.clusters import manifests

__all__ = ["Table", "manifest", "page", "program_version", "settings", "table", "versions"]

_LIBRARIES = ("boto3", "google-cloud-container", "kubernetes", "cryptography")
_PROGRAMS = {
    "curl": ("curl", "--version"),
    "kubectl": ("kubectl", "version", "--client", "--output", "yaml"),
    "istioctl": ("istioctl", "version", "--remote=false"),
    "openssl": ("openssl", "version"),
}
_LONG = 40  # lines; a longer manifest is folded
_SECRET = ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")


def versions() -> Table:
    """The version of every tool and library used."""
    rows = [("Python", sys.version.split()[0]), *((name, version(name)) for name in _LIBRARIES)]
    rows += [(name, program_version(name)) for name in _PROGRAMS]
    return Table(("tool", "version"), rows)


def program_version(name: str) -> str:
    """A program's version, or why it does not report one."""
    argv = _PROGRAMS[name]
    try:
        text = command.run(argv, timeout=60).text
    except ToolMissingError:
        return "not installed"
    except CommandError as failed:
        return f"does not start: exit code {failed.exit_code}"
    if argv[0] == "kubectl":
        return yaml.safe_load(text)["clientVersion"]["gitVersion"].removeprefix("v")
    words = text.split("\n")[0].split()
    return next((word for word in words if word[:1].isdigit()), " ".join(words))


def settings(*names: str) -> Table:
    """The current settings, or those named; secrets are masked."""
    rows = []
    for name, value in current().model_dump().items():
        unset = value in (None, [], "")
        if name not in names if names else unset:
            continue
        text = "(not set)" if unset else " ".join(value) if isinstance(value, list) else str(value)
        rows.append((name, "••••" if name in _SECRET else _without_home(text)))
    return Table(("setting", "value"), rows)


def _without_home(text: str) -> str:
    """Paths as a reader in the project's root would write them, also inside a command."""
    return text.replace(f"{ROOT}/", "").replace(f"{Path.home()}/", "~/")


def page(markup: str) -> Rich:
    """A preview of an HTML page, in a frame of its own where no script runs.

    GitHub, and JupyterLab until a cell has run, drop frames and show only the title below.
    """
    frame = (
        f'<iframe sandbox srcdoc="{html.escape(markup)}" width="100%" height="200" '
        'style="box-sizing: border-box; border: 1px solid #999; background: white" '
        'title="The page that came back"></iframe>'
    )
    title = re.search("<title>(.*?)</title>", markup, re.DOTALL)
    name = html.unescape(title[1]) if title else "none"
    return Rich(markup, html=f"{frame}<p>Title of the page: <b>{html.escape(name)}</b></p>")


def manifest(path: str, **values: str) -> Rich:
    """A manifest as it will be applied, with its ${NAME}s filled in; a long one is folded."""
    text = manifests.render(path, **values).rstrip()
    shown, lines = f"```yaml\n{text}\n```", len(text.splitlines())
    if lines > _LONG:
        shown = f"<details><summary>{path}: {lines} lines</summary>\n\n{shown}\n\n</details>"
    return Rich(text, markdown=shown)
