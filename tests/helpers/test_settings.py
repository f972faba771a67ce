"""The settings: their sources, their validation, and the environment of child processes."""

import os
import sys
from pathlib import Path

import pytest

from helpers import aws, eks, gke, network, show
from helpers.base import settings
from helpers.base.errors import SettingsError
from helpers.gcp import cloud_nat


def test_the_environment_overrides_our_names_and_the_file_overrides_the_clouds_names(monkeypatch, tmp_path):
    file = tmp_path / "my.toml"
    lines = [
        'AWS_REGION = "eu-west-1"',
        'TUTORIAL_DOMAIN = "example.org"',
        'TUTORIAL_OUTSIDE_COMMAND = ["ssh", "my laptop"]',
    ]
    file.write_text("\n".join(lines))
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(file))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.net")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "not-in-the-file")
    now = settings.current()
    assert (now.AWS_REGION, now.alb_host) == ("eu-west-1", "alb.example.net")
    assert now.GOOGLE_CLOUD_PROJECT == "not-in-the-file"
    assert now.TUTORIAL_OUTSIDE_COMMAND == ["ssh", "my laptop"]


def test_example_file_is_usable(monkeypatch):
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(settings.ROOT / "tutorial.example.toml"))
    assert settings.current().GOOGLE_CLOUD_PROJECT == "my-project"


def test_example_file_names_every_setting():
    text = (settings.ROOT / "tutorial.example.toml").read_text()
    credentials = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert [name for name in settings.Settings.model_fields if name not in text] == sorted(credentials)


def test_command_prefixes_are_parsed_as_in_a_shell(monkeypatch):
    monkeypatch.setenv("TUTORIAL_OUTSIDE_COMMAND", "ssh 'my host' --")
    assert settings.current().TUTORIAL_OUTSIDE_COMMAND == ["ssh", "my host", "--"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TUTORIAL_DOMAIN", "alb", "a domain like example.com"),
        ("TUTORIAL_DOMAIN", "http://example.com", "a domain like example.com"),
        ("TUTORIAL_DOMAIN", "Example.com", "lowercase"),
        ("AWS_REGION", "us-east-1a", "not a zone"),
        ("AWS_REGION", "Virginia", "a region like us-east-1"),
        ("GOOGLE_CLOUD_LOCATION", "Iowa", "a zone like us-central1-a"),
        ("AWS_ENDPOINT_URL", "localhost:4566", "a URL like"),
        ("TUTORIAL_NAME", "a-name-that-is-much-too-long", "2 to 20"),
        ("TUTORIAL_ISTIO_REVISION", "1.30", "a dot is not allowed"),
        ("TUTORIAL_CONNECT_TIMEOUT", "soon", "number"),
        ("TUTORIAL_ROUTE53_ZONE", "hidden", "public, private, or the ID of a public zone"),
        ("TUTORIAL_CERTIFICATE", "self-signed", "'private-ca' or 'acm'"),
        ("TUTORIAL_AUTHORIZED_CIDR", "my-laptop", "an address, a range"),
        ("TUTORIAL_AUTHORIZED_CIDR", "10.0.0.1/8", "has host bits set"),
    ],
)
def test_invalid_value_is_named_with_valid_ones(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as wrong:
        settings.current()
    assert name in str(wrong.value)
    assert says in str(wrong.value)


def test_the_readers_kubeconfig_is_rejected_in_the_file_and_ignored_in_the_environment(monkeypatch, tmp_path):
    theirs = str(Path.home() / ".kube" / "config")
    monkeypatch.setenv("KUBECONFIG", theirs)
    assert settings.current().KUBECONFIG.parent == tmp_path / "build"
    (tmp_path / "my.toml").write_text(f'KUBECONFIG = "{theirs}"\n')
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "my.toml"))
    with pytest.raises(SettingsError, match=r"KUBECONFIG = .*never writes into ~/.kube/config"):
        settings.current()


def test_acm_validation_uses_public_dns_only(monkeypatch):
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    assert settings.current().TUTORIAL_ROUTE53_ZONE == "public"
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "private")
    with pytest.raises(
        SettingsError, match='TUTORIAL_CERTIFICATE = "acm" needs TUTORIAL_ROUTE53_ZONE = "public"'
    ):
        settings.current()


def test_misspelled_setting_in_the_file_is_reported(monkeypatch, tmp_path):
    (tmp_path / "my.toml").write_text('DOMIAN = "example.org"\n')
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "my.toml"))
    with pytest.raises(SettingsError, match="DOMIAN"):
        settings.current()


@pytest.mark.parametrize(
    ("old", "new"),
    [("ZONE", "TUTORIAL_ROUTE53_ZONE"), ("DOMAIN", "TUTORIAL_DOMAIN"), ("ISTIO_TAG", "TUTORIAL_ISTIO_TAG")],
)
def test_an_old_name_is_rejected_in_the_file_and_ignored_in_the_environment(monkeypatch, tmp_path, old, new):
    file = tmp_path / "my.toml"
    file.write_text(f'{old} = "private"\n')
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=f"{old} is now {new}"):
        settings.current()
    file.unlink()
    before = settings.Settings()
    monkeypatch.setenv(old, "private")
    assert settings.current() == before


def test_settings_are_read_once(tmp_path, monkeypatch):
    file = tmp_path / "my.toml"
    file.write_text('TUTORIAL_DOMAIN = "example.org"\n')
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(file))
    assert settings.current().TUTORIAL_DOMAIN == "example.org"
    file.write_text('TUTORIAL_DOMAIN = "example.net"\n')
    assert settings.current().TUTORIAL_DOMAIN == "example.org"


def test_an_override_is_validated_nests_and_ends_with_its_block(monkeypatch):
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.org")
    with settings.override(TUTORIAL_DOMAIN="example.net"):
        with settings.override(TUTORIAL_NAME="inner"):
            assert settings.current().TUTORIAL_DOMAIN == "example.net"
            assert settings.current().TUTORIAL_NAME == "inner"
        assert settings.current().TUTORIAL_NAME == "istio-multicloud"
    assert settings.current().TUTORIAL_DOMAIN == "example.org"
    with settings.override(TUTORIAL_DOMAIN="Example"), pytest.raises(SettingsError, match="lowercase"):
        settings.current()


def test_invalid_toml_is_a_readable_error(monkeypatch, tmp_path):
    (tmp_path / "my.toml").write_text("TUTORIAL_DOMAIN: example.org\n")
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "my.toml"))
    with pytest.raises(SettingsError, match="must be TOML"):
        settings.current()


def test_children_get_the_clouds_and_tools_values_except_empty_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tmp_path))
    given = settings.current().environment()
    assert given["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert given["KUBECONFIG"] == str(tmp_path / "build" / "kubeconfig")
    assert given["PATH"].split(os.pathsep)[:2] == [str(tmp_path), str(Path(sys.executable).parent)]
    assert "AWS_SECRET_ACCESS_KEY" not in given


def test_secrets_are_masked_where_settings_are_shown(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    table = show.settings()
    assert "very-secret" not in repr(table) + table._repr_html_()
    assert ["TUTORIAL_DOMAIN", "example.com"] in table.rows


def test_only_the_named_settings_are_shown_including_unset_ones(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", raising=False)
    rows = show.settings("AWS_ENDPOINT_URL", "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE").rows
    assert rows == [
        ["AWS_ENDPOINT_URL", "http://127.0.0.1:1"],
        ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "(not set)"],
    ]


def test_without_a_settings_file_no_cloud_is_called(monkeypatch, tmp_path):
    """The reader's own credentials exist, and a notebook is opened while the lab is down."""
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "tutorial.toml"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.setenv(name, "own")
    for ask in (network.ensure, eks.create, gke.create, cloud_nat.find, aws.credentials):
        with pytest.raises(SettingsError, match=r"tutorial\.toml is missing\nTry: run make up"):
            ask()
    assert settings.current().TUTORIAL_NAME == "istio-multicloud"
