"""The reader's public address: configured, or looked up."""

import pytest

from helpers.base import my_address
from helpers.base.errors import SettingsError, UnreachableError
from tests import web


class Mirror(web.Handler):
    says = "203.0.113.9\n"

    def do_GET(self) -> None:
        self.answer(200, self.says.encode())


@pytest.fixture
def mirror(monkeypatch):
    with web.serving(web.on_loopback(Mirror)) as server:
        monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", f"http://127.0.0.1:{server.server_port}/")
        yield Mirror


@pytest.mark.parametrize(
    ("given", "taken"),
    [("203.0.113.7", "203.0.113.7/32"), ("198.51.100.0/24", "198.51.100.0/24")],
)
def test_an_address_or_a_range_is_used_as_given(monkeypatch, given, taken):
    monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", given)
    assert my_address.cidr() == taken


def test_a_url_is_queried(mirror):
    assert my_address.cidr() == "203.0.113.9/32"


@pytest.mark.parametrize("answer", ["2001:db8::1", "<html>", "", "0.0.0.0/0"])
def test_anything_but_a_single_address_is_rejected(mirror, monkeypatch, answer):
    monkeypatch.setattr(mirror, "says", answer)
    with pytest.raises(SettingsError, match="not an IPv4 address"):
        my_address.cidr()


def test_an_unreachable_url_error_says_what_to_set(monkeypatch):
    monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", "http://127.0.0.1:1/")
    with pytest.raises(UnreachableError, match="TUTORIAL_AUTHORIZED_CIDR ="):
        my_address.cidr()
