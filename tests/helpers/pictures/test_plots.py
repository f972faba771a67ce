"""Plots: their text, their marks, and that they depend only on the values."""

import re
import xml.etree.ElementTree as ET

import pytest

from helpers.pictures import plots
from helpers.pictures.plots import Sample

TEXT = "{http://www.w3.org/2000/svg}text"
GOOD = [Sample(n / 10, 0.02, 200) for n in range(100)]
BAD = [Sample(5 + n / 10, 0.5, 503) for n in range(10)]
MARKS = [(4.0, "pod deleted"), (8.0, "pod ready")]


def texts(plot: plots.Plot) -> list[str]:
    return [one.text or "" for one in ET.fromstring(str(plot)).iter(TEXT)]


def test_the_text_alternative_says_when_requests_failed():
    assert repr(plots.timeline("A drill", sorted(GOOD + BAD), MARKS)) == (
        "A drill\nat first: none failed\nafter “pod deleted”: some failed\nafter “pod ready”: none failed"
    )
    assert "some failed" not in repr(plots.timeline("A drill", GOOD, MARKS))
    assert repr(plots.timeline("A drill", [])) == "A drill\nat first: no request ended"


def test_a_failure_is_a_status_other_than_2xx_or_a_curl_error():
    assert [Sample(0, 1, 200).ok, Sample(0, 1, 503).ok, Sample(0, 1, 0, 7).ok, Sample(0, 1, 200, 28).ok] == [
        True, False, False, False
    ]  # fmt: skip


def test_title_marks_and_axes_are_text_of_the_usual_size():
    plot = plots.timeline("Cost: $1 & $2", GOOD, MARKS)
    assert {"Cost: $1 & $2", "↓ pod deleted", "pod ready ↓", "requests/s", "latency, ms"} <= set(texts(plot))
    assert {*re.findall(r"font-size: ([\d.]+)px", str(plot))} == {"14"}
    assert 'width="960"' in str(plot) and "prefers-color-scheme: dark" in str(plot)


def test_bars_have_their_names_and_values():
    plot = plots.bars("What a proxy costs", {"sidecar": 1.234, "gateway": 45}, "ms")
    assert {"sidecar", "gateway", "1.23 ms", "45 ms"} <= set(texts(plot))
    assert repr(plot) == "What a proxy costs\nsidecar, gateway"
    assert repr(plots.bars("A", {"b": 1}, "ms", "measured")) == "A\nmeasured"


def test_lines_have_their_names_and_axes():
    plot = plots.lines(
        "Rates", {"HTTP/1.1": {1: 700.0, 8: 900.0}, "HTTP/2": {1: 600.0, 8: 2000.0}}, "connections", "/s"
    )
    assert {"HTTP/1.1", "HTTP/2", "connections", "/s", "1", "8"} <= set(texts(plot))
    assert repr(plot) == "Rates\nHTTP/1.1, HTTP/2"


def test_a_notebook_gets_a_picture_that_nbval_does_not_compare():
    bundle = plots.timeline("A drill", GOOD)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    assert not re.search(r"<script|<image|url\((?!#)|@import", bundle["image/svg+xml"])


def test_the_drawing_depends_only_on_the_values():
    once = str(plots.timeline("A drill", GOOD, MARKS))
    assert str(plots.timeline("A drill", GOOD, MARKS)) == once
    assert str(plots.timeline("A drill", GOOD[1:], MARKS)) != once


def test_the_readers_matplotlib_settings_have_no_effect(tmp_path, monkeypatch):
    before = str(plots.bars("A", {"b": 1}, "ms"))
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    import matplotlib

    with matplotlib.rc_context(fname=tmp_path / "matplotlibrc"):
        assert str(plots.bars("A", {"b": 1}, "ms")) == before
    assert not (tmp_path / "home").exists()


def test_latencies_of_one_magnitude_have_no_labels_in_powers():
    plot = plots.timeline("A", [Sample(n, 0.015 + n / 1000, 200) for n in range(10)])
    assert not [text for text in texts(plot) if "^" in text]


@pytest.mark.parametrize("seconds", [0, 3, 100, 4000])
def test_any_duration_can_be_drawn(seconds):
    drawn = str(plots.timeline("A", [Sample(0, 0, 200), Sample(seconds, 0.01, 200)]))
    assert drawn.count("<path") < 400
