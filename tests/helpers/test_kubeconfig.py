"""The kubeconfig with its two contexts."""

import os
import stat
import subprocess

import pytest
import yaml

from helpers.base.errors import ChangeNeededError
from helpers.base.settings import ROOT, current
from helpers.clusters import kubeconfig


def write(context, server="https://127.0.0.1:6443"):
    kubeconfig.write(context, server, "Q0E=", "aws eks update-kubeconfig")


def read():
    return yaml.safe_load(current().KUBECONFIG.read_text())


def test_both_contexts_coexist_and_the_file_is_private():
    write("eks")
    write("gke")
    assert [context["name"] for context in read()["contexts"]] == ["eks", "gke"]
    assert [user["user"]["exec"]["interactiveMode"] for user in read()["users"]] == ["Never", "Never"]
    assert stat.S_IMODE(current().KUBECONFIG.stat().st_mode) == 0o600


def test_writing_the_same_again_keeps_the_file_and_reports_it(capsys):
    write("eks")
    before = current().KUBECONFIG.stat().st_mtime_ns
    capsys.readouterr()
    write("eks")
    assert current().KUBECONFIG.stat().st_mtime_ns == before
    assert "has the context eks" in capsys.readouterr().out


def test_new_endpoint_replaces_the_old_one():
    write("eks")
    write("eks", "https://127.0.0.1:7443")
    assert [entry["cluster"]["server"] for entry in read()["clusters"]] == ["https://127.0.0.1:7443"]


def test_removing_one_context_keeps_the_other_and_the_last_deletes_the_file():
    write("eks")
    write("gke")
    kubeconfig.remove("eks")
    assert (kubeconfig.has("eks"), kubeconfig.has("gke"), read()["current-context"]) == (False, True, "gke")
    kubeconfig.remove("gke")
    kubeconfig.remove("gke")
    assert not current().KUBECONFIG.exists()


def test_in_read_only_mode_no_context_is_removed(monkeypatch):
    write("eks")
    before = read()
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match="delete-context eks"):
        kubeconfig.remove("eks")
    kubeconfig.remove("gke")  # there is none
    assert read() == before


def test_the_printed_command_removes_the_same_context(programs, monkeypatch, capsys):
    as_the_aws_cli_writes_it()
    before = current().KUBECONFIG.read_text()
    kubeconfig.remove("eks")
    command = capsys.readouterr().out.partition("# → ")[0]
    current().KUBECONFIG.write_text(before)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-ec", command], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert [read()[kind] for kind in ("contexts", "clusters", "users")] == [None] * 3


OTHERS = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "production",
    "clusters": [{"name": "production", "cluster": {"server": "https://example.com"}}],
    "users": [{"name": "production", "user": {"token": "theirs"}}],
    "contexts": [{"name": "production", "context": {"cluster": "production", "user": "production"}}],
}


def there(config):
    current().KUBECONFIG.parent.mkdir()
    current().KUBECONFIG.write_text(yaml.safe_dump(config))


def test_other_contexts_in_the_file_are_unchanged_in_the_end():
    there(OTHERS)
    write("eks")
    write("gke")
    assert (len(read()["contexts"]), read()["current-context"]) == (3, "production")
    kubeconfig.remove("eks")
    kubeconfig.remove("gke")
    kubeconfig.remove("gke")
    assert read() == OTHERS


def test_no_other_context_becomes_the_current_one():
    there(OTHERS | {"current-context": "eks"})
    write("eks")
    write("gke")
    kubeconfig.remove("eks")
    assert read()["current-context"] == "gke"
    kubeconfig.remove("gke")
    assert read()["current-context"] == ""


ARN = "arn:aws:eks:us-east-1:123456789012:cluster/c"


def as_the_aws_cli_writes_it(server="https://127.0.0.1:6443"):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": ARN, "cluster": {"server": server, "certificate-authority-data": "Q0E="}}],
        "users": [{"name": ARN, "user": {"exec": {"command": "aws"}}}],
        "contexts": [{"name": "eks", "context": {"cluster": ARN, "user": ARN}}],
    }
    current().KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
    current().KUBECONFIG.write_text(yaml.safe_dump(config))


def test_a_context_written_by_the_aws_cli_is_used_and_fully_removed():
    as_the_aws_cli_writes_it()
    before = current().KUBECONFIG.read_text()
    write("eks")
    assert current().KUBECONFIG.read_text() == before
    assert kubeconfig.server("eks") == "https://127.0.0.1:6443"
    assert kubeconfig.entries("eks")[1]["exec"]["command"] == "aws"
    kubeconfig.remove("eks")
    assert not current().KUBECONFIG.exists()


def test_a_context_of_another_cluster_is_replaced():
    as_the_aws_cli_writes_it("https://127.0.0.1:7443")
    write("eks")
    assert kubeconfig.server("eks") == "https://127.0.0.1:6443"
