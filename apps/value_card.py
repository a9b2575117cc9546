"""How good predicted numbers are: tiles of the metrics with unit and interval, and the card of one vertical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps.page import Page
from apps.value_words import p_text
from core.evaluation.ledger import BASELINE
from core.regression.quantity import in_unit, metric_text, number_text
from core.regression.release_gates import ledger_method

TILES = ("mae", "median_absolute_error", "rmse", "r2", "coverage")
TILES_A_ROW = 3
VERDICT_COLOURS = {"gain": "green", "negative transfer": "red"}


def show_metric_tiles(page: Page, metrics: Mapping[str, Any]) -> None:
    """The metrics that the test rows have, and the error saved against one number for all rows."""
    unit, help_text = metrics["unit"], page.text("values.interval", confidence=f"{metrics['confidence']:.0%}")
    tiles = [
        (
            page.metric(name),
            metric_text(name, metrics[name]["value"], unit),
            f"{metric_text(name, metrics[name]['low'], '')} – {metric_text(name, metrics[name]['high'], '')}",
            help_text,
        )
        for name in TILES
        if name in metrics
    ]
    if naive := metrics["naive"]:
        gain = naive["gain"]
        span = f"{number_text(gain['low'], sign=True)} – {number_text(gain['high'], sign=True)}"
        median = page.text("values.saved_help", median=in_unit(naive["value"], unit))
        tiles.append((page.text("values.saved"), in_unit(gain["value"], unit, sign=True), span, median))
    for first in range(0, len(tiles), TILES_A_ROW):  # row by row, so that a phone keeps the order
        shown = tiles[first : first + TILES_A_ROW]
        for column, (title, value, span, told) in zip(st.columns(TILES_A_ROW), shown, strict=False):
            column.metric(title, value, span, delta_color="off", delta_arrow="off", help=told, border=True)


def show_value_card(
    page: Page, train: Mapping[str, Any], metrics: Mapping[str, Any], ledger: Mapping[str, Any]
) -> None:
    """The vertical's first metric with its interval, what is in use, and what transfer gave it."""
    name, unit = page.vertical.metrics[0], metrics["unit"]
    found = metrics[name]
    left, right = st.columns([1, 1])
    left.metric(
        page.metric(name),
        metric_text(name, found["value"], unit),
        f"{metric_text(name, found['low'], '')} – {metric_text(name, found['high'], '')}",
        delta_color="off",
        delta_arrow="off",
        help=page.text("values.interval", confidence=f"{metrics['confidence']:.0%}"),
    )
    lines = [
        f"**{page.text('overview.champion')}**: {train['transfer']} · {train['regressor']}",
        f"**{page.text('overview.target')}**: {metrics['domain']}",
        f"**{page.text('overview.sources')}**: {', '.join(ledger['source_domains']) or '–'}",
    ]
    right.markdown("  \n".join(lines))
    entries = champion_entries(train, ledger)
    if not entries:
        st.markdown(f"**{page.text('overview.verdict')}**: :gray-badge[{page.text('overview.unproven')}]")
    else:
        st.markdown(f"**{page.text('overview.verdict')}**: {verdict_line(page, ledger, entries[-1])}")


def champion_entries(train: Mapping[str, Any], ledger: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ledger's entries of the trained method, by rising budget; none where it was not compared."""
    method = ledger_method(ledger, train["transfer"], train["regressor"])
    return [entry for entry in ledger["entries"] if entry["method"] == method]


def verdict_line(page: Page, ledger: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Budget, the verdict as a badge, the gain with interval and unit, its p after Holm, and whether that is chance."""
    budget = page.text("overview.labels", budget=page.word(entry["budget"]))
    colour = VERDICT_COLOURS.get(entry["verdict"], "gray")
    badge = f"{budget}: :{colour}-badge[{page.word(entry['verdict'])}]"
    if entry["difference"] is None or entry["verdict"] == BASELINE:
        return badge
    gain = in_unit(entry["difference"], ledger["metric_unit"], sign=True)
    low, high = (number_text(entry[f"difference_{end}"], sign=True) for end in ("low", "high"))
    p_value = entry.get("p_adjusted")
    told = f"{badge} {gain} [{low}, {high}], {page.text('values.p_holm', p=p_text(p_value))}"
    is_told = entry["verdict"] in VERDICT_COLOURS and p_value is not None and p_value >= 1 - ledger["confidence"]
    return f"{told}. {page.text('values.uncorrected')}" if is_told else told
