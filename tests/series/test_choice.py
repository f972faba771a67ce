"""Which notebooks run: the article's by default, those beyond it on request."""

import pytest

from helpers.base import contents
from helpers.base.errors import SettingsError
from series.run import between, by_default

ARTICLE = [f"{number:02}" for number in range(7)]


@pytest.fixture(autouse=True)
def beyond(monkeypatch):
    """Two notebooks beyond the article, independent of the real ones."""
    names = {number: name for number, name in contents.NOTEBOOKS.items() if number not in contents.BEYOND}
    names |= {"07": "07-who-may-call", "08": "08-one-root-of-trust"}
    monkeypatch.setattr(contents, "NOTEBOOKS", dict(sorted(names.items())))
    monkeypatch.setattr(contents, "BEYOND", ["07", "08"])


def test_the_article_runs_by_default_and_all_on_request():
    assert by_default(beyond=False, write=False) == ARTICLE
    assert by_default(beyond=True, write=False) == [*ARTICLE, "07", "08"]
    assert by_default(beyond=False, write=True) == [*ARTICLE, "07", "08", "99"]


@pytest.mark.parametrize(
    ("first", "last", "all_", "runs"),
    [
        ("05", "", False, ["05", "06"]),
        ("05", "", True, ["05", "06", "07", "08"]),
        ("07", "", False, ["07", "08"]),
        ("07", "07", False, ["07"]),
        ("", "07", False, [*ARTICLE, "07"]),
    ],
)
def test_from_and_to(first, last, all_, runs):
    assert [notebook.name[:2] for notebook in between(first, last, all_)] == runs


@pytest.mark.parametrize(("first", "last"), [("99", ""), ("", "09"), ("07", "06")])
def test_an_invalid_choice_is_reported(first, last):
    with pytest.raises(SettingsError):
        between(first, last)


def test_clean_up_only_accepts_the_articles_notebooks():
    with pytest.raises(SettingsError, match="FROM=07"):
        contents.chosen("FROM", "07")
