"""A cluster that would exceed the kernel's inotify limit is rejected with one clear message."""

import ctypes
import os

import pytest

from lab import inotify
from lab.errors import LabError

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def leave(monkeypatch, tmp_path):
    """A limit that leaves this many instances free."""

    def left(count):
        limit = tmp_path / "limit"
        limit.write_text(f"{inotify.used() + count}\n")
        monkeypatch.setattr(inotify, "LIMIT", limit)

    return left


def test_instances_of_this_process_are_counted(leave):
    leave(inotify.CLUSTER + 20)  # other labs on this machine may use some
    inotify.require_instances_for_cluster("eks-a")
    before = inotify._instances(inotify.Path("/proc/self"))
    files = [libc.inotify_init() for _ in range(3)]
    try:
        assert inotify._instances(inotify.Path("/proc/self")) == before + 3
    finally:
        for file in files:
            os.close(file)
    assert inotify._instances(inotify.Path("/proc/self")) == before


def test_too_few_instances_are_reported_with_the_fix(leave):
    leave(inotify.CLUSTER - 10)
    with pytest.raises(LabError, match="inotify instances left") as refused:
        inotify.require_instances_for_cluster("eks-a")
    assert "sysctl fs.inotify.max_user_instances" in refused.value.hint
