"""A node's view of the machine's files."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.cluster.mounts import View

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def inode(view: View, path: str) -> str:
    return subprocess.run(view.enter_new("stat", "-c", "%i", path), capture_output=True, text=True).stdout


def test_a_named_file_is_shared_with_the_machine(tmp_path):
    """Like the lock file of iptables: a lock held outside is held inside."""
    with tempfile.NamedTemporaryFile(dir="/run") as lock:
        shared, alone = View(tmp_path / "shared", [Path(lock.name)]), View(tmp_path / "alone", [])
        for view in (shared, alone):
            view.create()
        assert inode(shared, lock.name).strip() == str(os.stat(lock.name).st_ino)
        assert inode(alone, lock.name) == ""
