"""Manifests with ${NAME}s, filled in from values and settings."""

import re
from pathlib import Path
from string import Template
from typing import Any

import yaml

from helpers.base.errors import SettingsError, TutorialError
from helpers.base.settings import ROOT, current

_WIDTH = 110


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


def write_operator(path: str, context: str, **values: object) -> Path:
    """Like `write`, for an IstioOperator: with the images' hub and tag, and with TUTORIAL_ISTIO_VALUES.

    A value is `path=value`, as istioctl's --set has it; its path is one below spec, without list indexes.
    Raises SettingsError for any other.
    """
    settings = current()
    operator = yaml.safe_load(render(path, **values))
    images = [f"hub={settings.TUTORIAL_ISTIO_HUB}", f"tag={settings.TUTORIAL_ISTIO_TAG}"]
    for setting in [*images, *settings.TUTORIAL_ISTIO_VALUES]:
        _set(operator["spec"], setting)
    head = f"# {path} with the settings TUTORIAL_ISTIO_HUB, TUTORIAL_ISTIO_TAG and TUTORIAL_ISTIO_VALUES.\n"
    text = yaml.dump(operator, Dumper=_Readable, sort_keys=False, width=_WIDTH)
    return write_text(Path(path).name, context, head + text)


def _set(spec: dict[str, Any], setting: str) -> None:
    field, _, text = setting.partition("=")
    *parents, last = (name.replace("\\.", ".") for name in re.split(r"(?<!\\)\.", field))
    if not text or "[" in field:
        raise SettingsError(
            "Filling in an IstioOperator",
            f"TUTORIAL_ISTIO_VALUES has {setting!r}",
            "write path=value, such as values.global.imagePullPolicy=IfNotPresent.",
        )
    for parent in parents:
        spec = spec.setdefault(parent, {})
    spec[last] = yaml.safe_load(text)


class _Readable(yaml.SafeDumper):
    """Texts of several lines stay as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
