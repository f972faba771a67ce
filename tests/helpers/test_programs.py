"""The programs that make starts report failures as messages, never as tracebacks."""

import os
import subprocess
import sys

import pytest

from helpers.base.settings import ROOT

PROGRAMS = [
    "series.run",
    "series.start_page",
    "series.handouts --executed",
    "series.preflight",
    "helpers.cleanup --dry-run",
    "helpers.aws.policy",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_invalid_settings_are_reported_as_a_message(program, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('AWS_REGION = "us-east-1a"\n')
    said = subprocess.run(
        [sys.executable, "-m", *program.split()],
        env=os.environ | {"TUTORIAL_SETTINGS": str(settings)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert "a region like us-east-1 (not a zone such as us-east-1a)" in said.stdout + said.stderr
    assert "correct the value and run again." in said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr
