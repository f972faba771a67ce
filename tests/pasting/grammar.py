"""Whether a printed command is complete, according to the programs that would run it; none is run."""

import contextlib
import functools
import io
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from awscli.clidriver import CLIOperationCaller, create_clidriver
from awscli.customizations.eks.update_kubeconfig import UpdateKubeconfigCommand
from awscli.customizations.s3.subcommands import S3TransferCommand
from awscli.customizations.waiters import WaiterCaller

DATA = os.environ["AWS_DATA_PATH"]  # set by awscli, removed when the settings are read
_SENDS = (
    (CLIOperationCaller, "invoke"),
    (WaiterCaller, "invoke"),
    (S3TransferCommand, "_run_main"),
    (UpdateKubeconfigCommand, "_run_main"),
)
_EMPTY_ZIP = b"PK\5\6".ljust(22, b"\0")
_CONNECTORS = {"|", "&&", ";"}
_BEFORE = {"xargs": 2, "while": 1}  # how many words precede the program
_DISABLED = 1  # curl's exit code if the arguments are valid and the protocol is not allowed


def fault(command: str, programs: Path) -> str:
    """Why a command cannot be pasted, or "". `programs` is the folder of kubectl and istioctl."""
    if found := next((sign for sign in ("…", "→", "...") if sign in command), ""):
        return f"{found} in it"
    if command.startswith("$ "):
        return "a prompt before it"
    if errors := subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True).stderr:
        return errors
    return next(filter(None, (_fault(words, programs) for words in _simple(command))), "")


def _simple(command: str) -> Iterator[list[str]]:
    """The words of each program in a command, including one that another starts after `--`."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _CONNECTORS | {"--"}:
            words.append(word)
        elif words:
            yield words
            words = []


def _fault(words: list[str], programs: Path) -> str:
    program, *arguments = words[_BEFORE.get(words[0], 0) :]
    if program == "aws":
        return _aws(arguments)
    if program in ("kubectl", "istioctl"):
        return _errors(str(programs / program), *arguments, "--help")
    if program == "curl":
        # curl parses all arguments before it connects: https://curl.se/docs/manpage.html#EXIT
        only_parse = ("--disable", "--proto", "=none", "--fail-early")
        return _errors(program, *only_parse, *arguments, expected=_DISABLED)
    if program == "gcloud":
        from tests import gcloud

        try:
            gcloud.read(shlex.join([program, *arguments]))
        except (KeyError, ValueError, IndexError) as wrong:
            return f"no command of gcloud: {wrong!r}"
    return ""


def _aws(arguments: list[str]) -> str:
    """The AWS CLI parses all arguments and sends nothing; missing files are empty."""
    with contextlib.ExitStack() as stack:
        for owner, method in _SENDS:
            stack.enter_context(patch.object(owner, method, lambda *_: 0))
        stack.enter_context(patch.dict(os.environ, AWS_DATA_PATH=DATA))
        stack.enter_context(patch.dict("awscli.paramfile.LOCAL_PREFIX_MAP", _files()))
        errors = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        try:
            code = _driver(*arguments[:2]).main(arguments)
        except SystemExit as refused:
            code = refused.code
    error = errors.getvalue().rpartition("aws: error: ")[2].strip()
    return error or f"exit status {code}" if code else ""


@functools.cache
def _driver(service: str, operation: str) -> Any:
    """One for each operation: some of them change how the session parses the arguments of others."""
    return create_clidriver()


def _files() -> dict[str, Any]:
    return {"file://": (lambda *_, **__: "{}", {}), "fileb://": (lambda *_, **__: _EMPTY_ZIP, {})}


@functools.cache
def _errors(*argv: str, expected: int = 0) -> str:
    """Most commands are printed many times."""
    done = subprocess.run(argv, capture_output=True, text=True)
    return "" if done.returncode == expected else done.stderr.strip() or f"exit status {done.returncode}"
