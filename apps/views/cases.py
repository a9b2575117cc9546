"""Test and recent predictions to filter and sort; one of them opened, with evidence and nearest training cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from apps.evidence import personal_columns, show_case, show_near
from apps.models import open_scorer, rows_of
from apps.page import Page
from apps.page_head import show_head
from apps.plain_text import plain
from apps.recent import recent_cases
from apps.recent_view import show_recent
from apps.tables import choose_row

UNSURE_LOG_ODDS = 0.7  # from the threshold: about a factor of two in the odds
MAX_SHOWN = 500


def show(page: Page) -> None:
    """Filters, the table, the chosen case."""
    predictions = page.run.read_table("evaluate", "predictions.parquet")
    threshold = page.run.read_json("evaluate", "metrics.json")["threshold"]
    show_head(page)
    recent = recent_cases(page)
    if recent:
        sources = ("test_cases", "recent")
        source = st.segmented_control(
            page.text("which"), sources, default="test_cases", format_func=page.text, key="cases_source"
        )
        if source == "recent":
            show_recent(page, recent)
            return
    table = described_cases(page, predictions, threshold)
    shown = _filtered(page, table)
    if not len(shown):
        st.info(page.text("nothing"))
        return
    chosen = _choose(page, shown.head(MAX_SHOWN))
    _show_case(page, shown.set_index("sample_id").loc[chosen], threshold)


def described_cases(page: Page, predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row a test case: sample_id, domain, truth, probability, low, high, decision, doubt, is_wrong, slices."""
    vertical = page.vertical
    words = dict(enumerate(vertical.classes))
    positive = predictions[f"probability_{vertical.positive_class}"].to_numpy()
    truth = predictions["label"].map(words)
    is_wrong = predictions["is_adverse"] != (predictions["label"] == vertical.positive_index)
    table = pd.DataFrame(
        {
            "sample_id": predictions["sample_id"],
            "domain": predictions["domain"],
            "truth": truth.fillna(page.text("unlabelled")),
            "probability": positive,
            "low": predictions["probability_low"],
            "high": predictions["probability_high"],
            "is_adverse": predictions["is_adverse"],
            "is_wrong": is_wrong & predictions["label"].notna(),
            "doubt": np.abs(_log_odds(positive) - _log_odds(np.array([threshold]))),
        }
    )
    manifest = page.run.find_table("prepare", "manifest.parquet")
    if manifest is not None:
        hidden = set() if page.may("see_personal") else {f"slice_{name}" for name in personal_columns(page)}
        names = [name for name in manifest.columns if name.startswith("slice_") and name not in hidden]
        slices = manifest.set_index("sample_id")[names].reindex(table["sample_id"]).reset_index(drop=True)
        table = pd.concat([table, slices.rename(columns=lambda name: name.removeprefix("slice_"))], axis=1)
    return table


def _filtered(page: Page, table: pd.DataFrame) -> pd.DataFrame:
    """The rows that the filters let through, sorted."""
    (first, second), (third, fourth) = st.columns(2), st.columns(2)
    ways = ("all", "wrong", "unsure", "adverse")
    way = first.segmented_control(page.text("show"), ways, default="all", format_func=page.text, key="cases_show")
    orders = ("by_doubt", "by_probability", "by_error")
    order = second.segmented_control(
        page.text("sort"), orders, default="by_doubt", format_func=page.text, key="cases_sort"
    )
    is_kept = {
        "wrong": table["is_wrong"],
        "unsure": table["doubt"] < UNSURE_LOG_ODDS,
        "adverse": table["is_adverse"],
    }.get(way or "all", pd.Series(True, index=table.index))
    slices = list(table.columns[9:])
    attribute = third.selectbox(
        page.text("slice"), [None, *slices], key="cases_slice", format_func=lambda one: one or page.text("all")
    )
    if attribute is not None:
        values = sorted(table[attribute].dropna().astype(str).unique())[:200]
        wanted = fourth.selectbox(page.text("value"), values, key="cases_value")
        is_kept &= table[attribute].astype(str) == wanted
    kept = table[is_kept]
    if order == "by_probability":
        return kept.sort_values("probability", ascending=False)
    if order == "by_error":
        error = kept["is_wrong"] * (1 + kept["doubt"])
        return kept.loc[error.sort_values(ascending=False).index]
    return kept.sort_values("doubt")


def _choose(page: Page, shown: pd.DataFrame) -> str:
    """The table, its download, and the id of the case that is open; it stands in the address."""
    ids = list(shown["sample_id"])
    clicked = choose_row(page, shown, key="cases_table", file_name="cases.csv")
    st.caption(page.text("choose"))
    asked = st.query_params.get("case", ids[0]) if clicked is None else ids[clicked]
    chosen = st.selectbox(page.text("case"), ids, index=ids.index(asked) if asked in ids else 0)
    st.query_params["case"] = chosen
    return chosen


def _show_case(page: Page, case: pd.Series, threshold: float) -> None:
    """What was said, what came, the evidence and the neighbours."""
    sample_id = str(case.name)
    colour = "red" if case["is_wrong"] else "green"
    st.subheader(plain(sample_id))
    figures = {name: f"{case[name]:.3f}" for name in ("probability", "low", "high")}
    said = page.text("said", threshold=f"{threshold:.3f}", **figures)
    st.markdown(f":{colour}-badge[{page.text('truth')}: {plain(case['truth'])}] {said}")
    samples = rows_of(page, [sample_id])
    if not len(samples):
        return
    show_case(page, open_scorer(page), samples)
    neighbours = page.run.find_table("evaluate", "neighbours.parquet")
    if neighbours is None:
        return
    show_near(page, samples, neighbours[neighbours["sample_id"] == sample_id])


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped)
