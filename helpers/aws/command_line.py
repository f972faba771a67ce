"""A call of boto3's as the command of the AWS CLI that makes the same call, for its versions 1 and 2."""

import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath
from botocore import xform_name

from helpers.base.command import quoted, relative, wrapped
from helpers.base.settings import current

# The CLI's own names: awscli/customizations/argrename.py, s3 is for files and s3api for calls.
_SERVICES = {"s3": "s3api"}
_OPTIONS = {("eks", "version"): "kubernetes-version"}
_ENDINGS = {b"{": "json", b"[": "json", b"PK": "zip"}  # of a file's name, by how its content begins
_LEVELS = 4  # of lists and structures that are still readable in one word
# Shorthand syntax: https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html
_KEY = re.compile(r"[A-Za-z0-9_.#/:-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_./:*+-]+( [A-Za-z0-9_./:*+-]+)*")
_QUOTABLE = re.compile(r'[^"\\\n]*')
# The CLI reads these from elsewhere, takes this for JSON, and a long document is no word.
_NO_WORD = re.compile(r"(file|fileb|http|https)://|[{\[]|.*\n|\s|.*\s$", re.DOTALL)


class _NoShorthandError(ValueError):
    """Shorthand syntax cannot express it, or the result would be unreadable."""


@dataclass
class CommandLine:
    """A command, broken over lines where it is long, and the files that it names."""

    text: str
    files: dict[Path, bytes] = field(default_factory=dict)

    def write_files(self) -> None:
        """Write the files that the command names."""
        for path, content in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def render(
    service: str, operation: str, parameters: dict[str, Any], *, show: str = "", document: str = ""
) -> CommandLine:
    """The command of that call, e.g. of ("ec2", "create_vpc", {"CidrBlock": …}).

    A Path stands for the bytes of that file. `show` is a query in JMESPath of what the CLI prints. What is
    too deep for a word goes to build/<lab>/commands, into a file named by `document` and the option.
    """
    line = CommandLine("")
    name = operation.removeprefix("wait ")
    wait = ["wait"] if name != operation else []
    words = ["aws", _SERVICES.get(service, service), *wait, name.replace("_", "-")]
    for parameter, value in parameters.items():
        if parameter == "Code" and "ZipFile" in value:  # of a function: an option of its own
            parameter, value = "ZipFile", value["ZipFile"]
        option = _OPTIONS.get((service, parameter)) or xform_name(parameter, "-")
        words += _words(option, value, "-".join(filter(None, [document, option])), line.files)
    if show:
        words += ["--query", show, "--output", "text"]
    if operation == "invoke":  # where the CLI writes the function's answer
        words.append(relative(_folder() / "response.json"))
    line.text = wrapped(" ".join(map(quoted, words)))
    return line


def text(show: str, answer: dict[str, Any]) -> str:
    """What `--query … --output text` prints of a response: a row for each list, with tabs between columns."""
    found = jmespath.search(show, answer)
    rows = found if isinstance(found, list) and any(isinstance(row, list) for row in found) else [found]
    return "\n".join("\t".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows)


def _words(option: str, value: Any, name: str, files: dict[Path, bytes]) -> list[str]:
    """The option with its value; a document goes to `files`, under that name."""
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if isinstance(value, Path):
        return [f"--{option}", f"fileb://{relative(value)}"]
    if isinstance(value, bytes):
        return [f"--{option}", f"fileb://{_file(name, value, files)}"]
    if isinstance(value, list | dict):
        try:
            return [f"--{option}", *_shorthand(value)]
        except _NoShorthandError:
            value = json.dumps(value, indent=2)
    value = str(value)
    if _NO_WORD.match(value):
        return [f"--{option}", f"file://{_file(name, value.encode(), files)}"]
    return [f"--{option}={value}"] if value.startswith("-") else [f"--{option}", value]


def _shorthand(value: list[Any] | dict[str, Any]) -> list[str]:
    """Words of the CLI's shorthand syntax; raises _NoShorthandError."""
    if isinstance(value, dict):
        return [_pairs(value, _LEVELS)]
    if value and all(isinstance(each, dict) for each in value):
        return [_pairs(each, _LEVELS - 1) for each in value]
    plain = all(isinstance(each, str | int | float) for each in value)
    words = [json.dumps(each) if isinstance(each, bool) else str(each) for each in value]
    if not value or not plain or any(word.startswith("-") or _NO_WORD.match(word) for word in words):
        raise _NoShorthandError
    return words


def _pairs(value: dict[str, Any], levels: int) -> str:
    if not value or not all(_KEY.fullmatch(key) for key in value):
        raise _NoShorthandError
    return ",".join(f"{key}={_nested(each, levels - 1)}" for key, each in value.items())


def _nested(value: Any, levels: int) -> str:
    if isinstance(value, list | dict) and levels == 0:
        raise _NoShorthandError
    if isinstance(value, list):
        # A structure needs its braces here.
        return f"[{','.join(_nested(each, levels - 1) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{_pairs(value, levels)}}}"
    return _scalar(value)


def _scalar(value: Any) -> str:
    word = json.dumps(value) if isinstance(value, bool) else str(value)
    if isinstance(value, bytes | Path) or not _QUOTABLE.fullmatch(word):
        raise _NoShorthandError
    return word if _PLAIN.fullmatch(word) else f'"{word}"'


def _file(name: str, content: bytes, files: dict[Path, bytes]) -> str:
    """A file with this content: an earlier command still needs what is in one of the same name."""
    ending = next((ending for start, ending in _ENDINGS.items() if content.startswith(start)), "txt")
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    paths = (_folder() / f"{name}{number}.{ending}" for number in numbers)
    path = next(path for path in paths if not path.exists() or path.read_bytes() == content)
    files[path] = content
    return relative(path)


def _folder() -> Path:
    return current().TUTORIAL_BUILD_DIR / "commands"
