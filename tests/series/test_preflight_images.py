"""Preflight's checks of the registries before a run on real accounts, against a fake on this machine."""

from collections.abc import Iterator

import pytest

from helpers.base.settings import Settings
from series.preflight import images
from tests import registry
from tests.registry import Registry


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[Registry]:
    """A registry that has everything; the settings name it."""
    with registry.running() as running:
        running.images = {"istio/pilot:1.30.5", "istio/proxyv2:1.30.5", "curlimages/curl:8.17.0", "tools:1"}
        monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "none.toml"))
        monkeypatch.setenv("TUTORIAL_ISTIO_HUB", f"{running.host}/istio")
        monkeypatch.setenv("TUTORIAL_ISTIO_TAG", "1.30.5")
        monkeypatch.setenv("TUTORIAL_CURL_IMAGE", f"{running.host}/curlimages/curl:8.17.0")
        monkeypatch.setenv("TUTORIAL_TOOLS_IMAGE", f"{running.host}/tools:1")
        yield running


def levels() -> list[str]:
    return [finding.level for finding in images.look()]


def said() -> str:
    return "\n".join(str(finding) for finding in images.look())


def test_images_are_found_without_a_pull_and_without_credentials(stand_in, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert levels() == ["ok"] * 4
    assert {method for method, _ in stand_in.seen} == {"HEAD", "GET"}  # GET only for tokens
    assert not any(sent.startswith("Basic") for _, sent in stand_in.seen)


def test_a_tag_that_was_never_released_stops_the_run(stand_in):
    stand_in.images.remove("istio/proxyv2:1.30.5")
    assert levels() == ["ok", "stop", "ok", "ok"]
    assert f"✗ image {stand_in.host}/istio/proxyv2:1.30.5: {stand_in.host} has no such image" in said()
    assert "change TUTORIAL_ISTIO_HUB and TUTORIAL_ISTIO_TAG" in said()


def test_an_image_that_needs_credentials_stops_the_run(stand_in):
    stand_in.private.add("curlimages/curl")
    assert levels() == ["ok", "ok", "stop", "ok"]
    assert f"{stand_in.host} denies access: it does not exist, or needs credentials" in said()
    assert "Change TUTORIAL_CURL_IMAGE" in said()


def test_a_missing_image_of_notebook_9_is_a_note(stand_in):
    stand_in.images.remove("tools:1")
    assert levels() == ["ok", "ok", "ok", "note"]
    assert "change TUTORIAL_TOOLS_IMAGE. Only notebooks 9 and 10 need it" in said()


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_busy_registry_or_one_blocked_by_a_proxy_is_a_note(stand_in, status):
    stand_in.refuses = status
    assert levels() == ["note"] * 4
    assert f"answers {status}. This does not stop the run" in said()


def test_an_unreachable_registry_is_a_note_because_nodes_have_another_network(stand_in, monkeypatch):
    monkeypatch.setenv("TUTORIAL_ISTIO_HUB", "127.0.0.1:1/istio")
    assert levels() == ["note", "note", "ok", "ok"]
    assert "127.0.0.1:1 is unreachable: " in said()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("docker.io/istio/pilot:1.30.5", "https://registry-1.docker.io/v2/istio/pilot/manifests/1.30.5"),
        ("curlimages/curl:8", "https://registry-1.docker.io/v2/curlimages/curl/manifests/8"),
        ("nginx", "https://registry-1.docker.io/v2/library/nginx/manifests/latest"),
        ("gcr.io/a/b/c", "https://gcr.io/v2/a/b/c/manifests/latest"),
        ("localhost:5000/a:1", "http://localhost:5000/v2/a/manifests/1"),
        ("quay.io/a/b@sha256:12", "https://quay.io/v2/a/b/manifests/sha256:12"),
    ],
)
def test_names_are_parsed_as_by_containerd(name, url):
    assert images.Image.parse(name).manifest() == url


def test_istio_comes_from_docker_hub_by_default_in_a_released_version():
    """registry.istio.io, istioctl's own default in 1.30, is closing: see the release notes of 1.31."""
    fields = Settings.model_fields
    assert fields["TUTORIAL_ISTIO_HUB"].default == "docker.io/istio"
    revision = fields["TUTORIAL_ISTIO_REVISION"].default.replace("-", ".")
    assert fields["TUTORIAL_ISTIO_TAG"].default.startswith(f"{revision}.")
