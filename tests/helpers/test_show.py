"""What a notebook shows: tables, manifests, the page, checks, prices, progress."""

import itertools

import pytest

from helpers import show
from helpers.base.errors import CheckError, PrerequisiteError, TimedOutError, TutorialError
from helpers.base.settings import current
from helpers.base.waiting import retry_while, wait_until
from helpers.check import check
from helpers.clusters import manifests


def test_table_is_aligned_text_and_escaped_html():
    table = show.table([{"name": "a", "value": "<b>"}, {"name": "longer", "value": None}])
    assert repr(table) == "name    value\na       <b>\nlonger"
    assert "&lt;b&gt;" in table._repr_html_()


def test_empty_table_with_headings_is_shown():
    assert repr(show.table([], headers=["cloud", "what"])) == "cloud  what"


def test_versions_say_what_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    versions = dict(show.versions().rows)
    assert versions["boto3"][0].isdigit()
    assert versions["istioctl"] == "not installed"


def test_page_is_shown_in_a_frame_without_scripts():
    forms = show.page('<p title="x">Hi</p>')._repr_mimebundle_()
    assert "<iframe sandbox srcdoc=" in forms["text/html"]
    assert "&lt;p title=&quot;x&quot;&gt;" in forms["text/html"]


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<title>A &amp; B</title><p>Hi</p>", "A &amp; B"),
        ("<title>\n<b>\n</title>", "\n&lt;b&gt;\n"),
        ("<p>Hi</p>", "none"),
    ],
)
def test_page_title_is_shown_below_the_frame(markup, shown):
    below = show.page(markup)._repr_mimebundle_()["text/html"].split("</iframe>")[1]
    assert below == f"<p>Title of the page: <b>{shown}</b></p>"


@pytest.fixture
def manifest(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("host: ${HOST}\ndomain: ${TUTORIAL_DOMAIN}\nprice: $$5\n")
    return str(file)


def test_manifest_is_filled_in_from_values_and_settings(manifest):
    assert manifests.render(manifest, HOST="h") == "host: h\ndomain: example.com\nprice: $5\n"
    assert repr(show.manifest(manifest, HOST="h")).startswith("host: h")


@pytest.mark.parametrize(("lines", "folded"), [(40, False), (41, True)])
def test_long_manifest_is_folded_in_a_notebook_and_complete_elsewhere(tmp_path, lines, folded):
    path = tmp_path / "long.yaml"
    path.write_text("a: 1\n" * lines)
    shown = show.manifest(str(path))._repr_mimebundle_()
    assert shown["text/markdown"].startswith("<details>") == folded
    assert shown["text/markdown"].count("a: 1") == shown["text/plain"].count("a: 1") == lines


def test_given_value_overrides_the_setting(manifest):
    assert "domain: d" in manifests.render(manifest, HOST="h", TUTORIAL_DOMAIN="d")


def test_name_without_a_value_is_an_error_and_nothing_is_written(manifest):
    with pytest.raises(TutorialError, match=r"there is no value for \$\{HOST\}"):
        manifests.write(manifest, "eks")
    assert not (current().TUTORIAL_BUILD_DIR / "manifests").exists() or not list(
        (current().TUTORIAL_BUILD_DIR / "manifests").rglob("*.yaml")
    )


def test_missing_manifest_is_named():
    with pytest.raises(TutorialError, match=r"manifests/eks/none\.yaml"):
        manifests.render("manifests/eks/none.yaml")


def test_passing_checks_have_a_check_mark(capsys):
    check({"water is wet": True, "there are two": [1, 2]})
    assert capsys.readouterr().out == "✓ water is wet\n✓ there are two\n"


def test_failing_checks_are_reported_after_all_have_run(capsys):
    with pytest.raises(CheckError, match="failed: the moon is cheese") as failed:
        check({"the moon is cheese": False, "water is wet": True})
    assert capsys.readouterr().out == "✗ the moon is cheese\n✓ water is wet\n"
    assert "water" not in str(failed.value)


def test_an_empty_check_is_an_error():
    with pytest.raises(CheckError):
        check({})


def test_waiting_prints_each_state_once_and_returns_the_result(capsys):
    states = iter(["CREATING", "CREATING", "ACTIVE"])
    assert (
        wait_until("it", lambda: next(states), lambda now: now == "ACTIVE", timeout=9, interval=0) == "ACTIVE"
    )
    assert capsys.readouterr().out == "… it: CREATING\n"


def test_wait_timeout_has_the_last_state_and_a_hint():
    with pytest.raises(TimedOutError) as late:
        wait_until("it", lambda: "CREATING", lambda now: False, timeout=0, interval=0, hint="patience")
    assert "Waiting for it: still “CREATING” after 0 s\nTry: patience" in str(late.value)


def test_only_transient_errors_are_retried():
    tries = itertools.count()

    def fails():
        if next(tries) < 2:
            raise PrerequisiteError("nothing", "00")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry_while("it", fails, lambda error: isinstance(error, PrerequisiteError), timeout=9, interval=0)
    assert next(tries) == 3


def test_error_in_a_notebook_is_the_message_without_frames():
    error = PrerequisiteError("no VPC", "01-create-the-lambda-function")
    assert error._render_traceback_() == [
        "PrerequisiteError: Looking up: There is no VPC yet. Run 01-create-the-lambda-function first."
    ]
