"""Figures of predicted numbers: predicted against true, errors and the band's coverage by size of the prediction."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from apps.charts import BAD, COLOURS, HEIGHT, QUIET, hints, legend
from apps.page import Page
from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.intervals import wilson_interval
from core.regression.quantity import number_text

MAX_POINTS = 3000
PERFECT = {"strokeDash": [4, 3], "color": QUIET}
NUMBER, SIGNED = ",.6~r", "+,.6~r"
BAR = "#B8CFE0"


def predicted_against_true(page: Page, known: pd.DataFrame, quantity: str) -> alt.LayerChart:
    """Labelled rows of `predictions.parquet`, at most 3,000 evenly chosen by prediction; equal on the diagonal.

    The band is the area between low and high; a row that its band misses has another colour and shape.
    """
    ordered = known.sort_values("value", kind="stable", ignore_index=True)
    shown = ordered.iloc[np.linspace(0, len(ordered) - 1, min(len(ordered), MAX_POINTS)).astype(int)]
    has_band = bool(shown["low"].notna().all())
    is_missed = has_band & ((shown["truth"] < shown["low"]) | (shown["truth"] > shown["high"]))
    names = [page.text("values.inside"), page.text("values.outside")] if has_band else [page.text("values.test_rows")]
    shown = shown.assign(place=np.where(is_missed, names[-1], names[0]))
    ends = np.array([shown[["value", "truth"]].min().min(), shown[["value", "truth"]].max().max()], dtype=float)
    room = 0.03 * np.ptp(ends) or 1.0
    limits = [float(ends[0] - room), float(ends[1] + room)]
    scale = alt.Scale(domain=limits, nice=False, clamp=True)
    x = alt.X("value:Q", title=page.text("values.predicted", quantity=quantity), scale=scale)
    y_title = page.text("values.truth", quantity=quantity)
    colours = alt.Scale(domain=names, range=[COLOURS[0], BAD][: len(names)])
    shapes = alt.Scale(domain=names, range=["circle", "triangle-up"][: len(names)])
    points = (
        alt.Chart(shown)
        .mark_point(filled=True, size=28, opacity=0.55)
        .encode(
            x=x,
            y=alt.Y("truth:Q", title=y_title, scale=scale),
            color=alt.Color("place:N", scale=colours, legend=legend(None)),
            shape=alt.Shape("place:N", scale=shapes, legend=legend(None)),
            tooltip=hints(sample_id="", value=NUMBER, truth=NUMBER, low=NUMBER, high=NUMBER),
        )
    )
    corners = pd.DataFrame({"value": limits, "truth": limits})
    diagonal = alt.Chart(corners).mark_line(**PERFECT).encode(x=x, y=alt.Y("truth:Q", title=y_title))
    layers = [diagonal, points]
    if has_band:
        area = alt.Chart(shown).mark_area(color=COLOURS[0], opacity=0.1)
        layers.insert(0, area.encode(x=x, y=alt.Y("low:Q", title=y_title, scale=scale), y2=alt.Y2("high:Q")))
    return alt.layer(*layers).properties(height=HEIGHT + 80)


def errors_by_prediction(page: Page, table: pd.DataFrame, quantity: str) -> alt.LayerChart:
    """`errors_by_prediction.csv`: the mean error of each bin with its interval, and the middle 80 % of its errors."""
    shown = table.assign(predicted=table["mean_value"].map(number_text))
    title = page.text("values.error_title")
    base = alt.Chart(shown).encode(x=_bins_axis(page, shown, quantity))
    told = hints(
        predicted="", rows="", mean_error=SIGNED, mean_error_low=SIGNED, mean_error_high=SIGNED,
        error_quantile_10=SIGNED, error_quantile_90=SIGNED,
    )  # fmt: skip
    spread = base.mark_bar(color=BAR, size=18).encode(
        y=alt.Y("error_quantile_10:Q", title=title), y2=alt.Y2("error_quantile_90:Q"), tooltip=told
    )
    interval = base.mark_rule(strokeWidth=2, color=COLOURS[0]).encode(
        y=alt.Y("mean_error_low:Q", title=title), y2=alt.Y2("mean_error_high:Q")
    )
    mean = base.mark_point(filled=True, size=60, color=COLOURS[0], opacity=1).encode(
        y=alt.Y("mean_error:Q", title=title), tooltip=told
    )
    return alt.layer(spread, _rule(0.0, title=title), interval, mean).properties(height=HEIGHT + 80)


def coverage_by_prediction(page: Page, table: pd.DataFrame, promise: float, quantity: str) -> alt.LayerChart:
    """A table of `coverage_table`: the share inside of each bin with its interval, beside what the band promises."""
    shown = table.assign(predicted=table["mean_value"].map(number_text))
    scale = alt.Scale(domain=[min(0.5, float(table["low"].min())), 1.0])
    y = {"title": page.text("values.inside_title"), "scale": scale, "axis": alt.Axis(format=".0%", tickCount=5)}
    base = alt.Chart(shown).encode(x=_bins_axis(page, shown, quantity))
    bars = base.mark_rule(strokeWidth=2, color=COLOURS[0]).encode(y=alt.Y("low:Q", **y), y2=alt.Y2("high:Q"))
    points = base.mark_point(filled=True, size=60, color=COLOURS[0], opacity=1).encode(
        y=alt.Y("share:Q", **y), tooltip=hints(predicted="", rows="", share=".1%", low=".1%", high=".1%")
    )
    return alt.layer(_rule(promise, **y), bars, points).properties(height=HEIGHT - 60)


def coverage_table(known: pd.DataFrame, *, num_bins: int, confidence: float) -> pd.DataFrame:
    """mean_value, rows, share (inside the band), low, high (Wilson) of each bin of equal mass, by rising prediction."""
    is_inside = known["truth"].between(known["low"], known["high"]).to_numpy()
    bins = equal_mass_bins(known["value"].to_numpy(), num_bins)
    found = []
    for number in range(bins.max() + 1):
        mask = bins == number
        low, high = wilson_interval(int(is_inside[mask].sum()), int(mask.sum()), confidence)
        told = {"mean_value": known["value"][mask].mean(), "rows": int(mask.sum()), "share": is_inside[mask].mean()}
        found.append({**told, "low": float(low), "high": float(high)})
    return pd.DataFrame(found)


def _bins_axis(page: Page, table: pd.DataFrame, quantity: str) -> alt.X:
    """The mean prediction of each bin, smallest first."""
    title = page.text("values.by_size", quantity=quantity)
    return alt.X("predicted:O", sort=list(table["predicted"]), title=title, axis=alt.Axis(labelAngle=-40))


def _rule(place: float, **axis: Any) -> alt.Chart:
    """A dashed line across, with the title and scale of the other layers."""
    return alt.Chart(pd.DataFrame({"place": [place]})).mark_rule(**PERFECT).encode(y=alt.Y("place:Q", **axis))
