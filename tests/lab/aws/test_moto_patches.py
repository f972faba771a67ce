"""Everything that the lab replaces in moto exists in the pinned version."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

# In its own process, as others may have patched moto already in this one.
COMPARE = """
import inspect
from lab.aws.moto_patches import PATCHES, apply

def shape(value):
    return len(inspect.signature(value).parameters) if callable(value) else type(value)

before = [getattr(patch.owner, patch.name) for patch in PATCHES]
for patch, original in zip(PATCHES, before):
    assert shape(patch.value) == shape(original), patch
apply()
apply()
for patch, original in zip(PATCHES, before):
    assert getattr(patch.owner, patch.name) is patch.value is not original, patch
print(len(PATCHES))
"""


def test_moto_has_the_version_that_the_patches_are_for():
    project = Path(__file__).parents[3] / "pyproject.toml"
    pins = tomllib.loads(project.read_text())["project"]["optional-dependencies"]["lab"]
    (moto,) = [pin for pin in pins if pin.startswith("moto[")]
    assert moto.rpartition("==")[2] == version("moto")


def test_each_patch_replaces_something_of_the_same_shape():
    answer = subprocess.run([sys.executable, "-c", COMPARE], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) > 0
