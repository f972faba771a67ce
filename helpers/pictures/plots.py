"""Plots of measured values: requests over time, and bars."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from helpers.pictures import figures
from helpers.pictures.figures import BAD, GOOD, TEXT, TITLE, Plot

_ROW = 20  # pixels for a line of words
_STEPS = (0.5, 1, 2, 5, 10, 30, 60)  # seconds that one bar may stand for
_MOST = 60  # bars

Marks = Sequence[tuple[float, str]]  # seconds from the start, and what happened then


class Sample(NamedTuple):
    """A request, sent `at` seconds from the start. Without a response, its status is 0."""

    at: float
    seconds: float
    status: int
    exit_code: int = 0

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and 200 <= self.status < 300

    @property
    def end(self) -> float:
        return self.at + self.seconds


def timeline(title: str, samples: Sequence[Sample], marks: Marks = ()) -> Plot:
    """Successes, failures and latency over time, by when requests ended.

    Its words say whether requests failed before the first mark and after each.
    """
    last = max([0.0, *(each.end for each in samples), *(at for at, _ in marks)])
    step = next((step for step in _STEPS if last / step <= _MOST), _STEPS[-1])
    edges = [n * step for n in range(int(last / step) + 2)]
    kinds = {"succeeded": (True, GOOD), "failed": (False, BAD)}
    ended = [[each for each in samples if each.ok is ok] for ok, _ in kinds.values()]
    colors = [color for _, color in kinds.values()]
    top = TITLE + _ROW * (len(marks) + 1)
    height = top + 330
    with figures.figure(height) as figure:
        rate, latency = figure.subplots(2, sharex=True)
        figure.subplots_adjust(0.08, 70 / height, 0.98, 1 - top / height, hspace=0.2)
        times = [[each.end for each in group] for group in ended]
        weights = [[1 / step] * len(group) for group in ended]
        rate.hist(times, edges, weights=weights, stacked=True, color=colors, label=[*kinds], rwidth=0.85)
        rate.set_ylabel("requests/s")
        for group, color in zip(ended, colors, strict=True):
            took = [max(0.1, 1000 * each.seconds) for each in group]
            latency.plot([each.end for each in group], took, ".", color=color)
        latency.set(yscale="log", ylabel="latency, ms", xlabel="seconds", xlim=(0, edges[-1]))
        latency.yaxis.set_major_formatter("{x:g}")
        latency.yaxis.set_minor_formatter(lambda *_: "")
        for row, (at, name) in enumerate(marks):
            for axes in (rate, latency):
                axes.axvline(at, color=TEXT, linewidth=1, linestyle=(0, (3, 4)))
            above = {"xytext": (0, 6 + _ROW * (len(marks) - 1 - row)), "textcoords": "offset points"}
            side = "left" if at < edges[-1] / 2 else "right"
            rate.annotate(
                f"↓ {name}" if side == "left" else f"{name} ↓",
                (at, 1),
                xycoords=("data", "axes fraction"),
                ha=side,
                **above,
            )
        figure.legend(loc="lower right", ncols=2)
        return figures.plot(title, _facts(samples, marks), figure)


def bars(title: str, values: Mapping[str, float], unit: str, facts: str = "") -> Plot:
    """A bar with its value for each name. Its words are `facts`, the same in every run, or else the names."""
    height = TITLE + _ROW + 36 * len(values)
    with figures.figure(height) as figure:
        axes = figure.add_axes((0.3, _ROW / 2 / height, 0.58, 1 - (TITLE + _ROW) / height))
        drawn = axes.barh([*values], [*values.values()], color=GOOD, height=0.6)
        axes.bar_label(drawn, [f"{value:.3g} {unit}".rstrip() for value in values.values()], padding=6)
        axes.invert_yaxis()
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        return figures.plot(title, facts or ", ".join(values), figure)


def lines(title: str, series: Mapping[str, Mapping[int, float]], x: str, y: str) -> Plot:
    """A line for each of up to two series; both axes start at 0. Its words are the names."""
    height = 340
    with figures.figure(height) as figure:
        axes = figure.add_axes((0.08, 70 / height, 0.9, 1 - (70 + TITLE + _ROW) / height))
        for (name, values), color, mark in zip(series.items(), (GOOD, TEXT), ("o", "s"), strict=False):
            axes.plot([*values], [*values.values()], f"-{mark}", color=color, label=name)
        ticks = sorted({at for values in series.values() for at in values})
        axes.set(xlabel=x, ylabel=y, ylim=(0, None), xlim=(0, None), xticks=ticks)
        axes.legend(loc="lower right")
        return figures.plot(title, ", ".join(series), figure)


def _facts(samples: Sequence[Sample], marks: Marks) -> str:
    """For each time between two marks, whether a request failed in it."""
    starts = [(0.0, "at first"), *((at, f"after “{name}”") for at, name in marks)]
    lines = []
    for (begin, name), end in zip(starts, [*(at for at, _ in marks), float("inf")], strict=True):
        during = [each.ok for each in samples if begin <= each.end < end]
        found = "no request ended" if not during else "none failed" if all(during) else "some failed"
        lines.append(f"{name}: {found}")
    return "\n".join(lines)
