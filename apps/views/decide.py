"""The threshold and cost workbench: what another cut-off would do, and a proposal that an owner can adopt."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from apps.actions import propose_threshold
from apps.charts import COLOURS, QUIET
from apps.page import Page
from apps.page_head import show_head
from apps.stores import open_page_store
from apps.tables import show_rows
from core.errors import MissingArtifactError
from core.evaluation.decision_workbench import CELLS, OVERALL, decide_at
from core.evaluation.thresholds import cost_curve

MAX_CURVE_POINTS = 400


def show(page: Page) -> None:
    """Cut-off and costs; figures, curve, groups; the model in use on test rows; proposals."""
    metrics = page.run.read_json("evaluate", "metrics.json")
    rows = labelled_rows(page, "valid_predictions.parquet")
    show_head(page)
    if rows["is_positive"].nunique() < 2:
        st.info(page.text("no_rows"))
        return
    threshold, costs = _choose(page, float(metrics["threshold"]))
    found = _decide(page, rows, threshold, costs)
    _show_rates(page, found)
    left, right = st.columns([2, 3])
    with left:
        st.subheader(page.text("confusion"))
        st.dataframe(confusion_table(page, found), width="stretch")
    with right:
        st.subheader(page.text("curve"))
        st.altair_chart(_curve(page, rows, costs, threshold, float(metrics["threshold"])), width="stretch")
    _show_slices(page, found)
    with st.expander(page.text("on_test")):
        on_test = _decide(page, labelled_rows(page, "predictions.parquet"), float(metrics["threshold"]), costs)
        _show_rates(page, on_test)
        st.dataframe(confusion_table(page, on_test), width="stretch")
    _show_proposals(page, found, costs)


def labelled_rows(page: Page, name: str) -> pd.DataFrame:
    """is_positive, probability, group and `slice_` columns of the labelled rows of a predictions file."""
    predictions = page.run.read_table("evaluate", name)
    labelled = predictions[predictions["label"].notna()].reset_index(drop=True)
    manifest = page.run.read_table("prepare", "manifest.parquet").set_index("sample_id")
    places = manifest.index.get_indexer(labelled["sample_id"])
    if (places < 0).any():
        raise MissingArtifactError("The predictions are of other rows than were prepared.", repair="Run it again.")
    names = [name for name in manifest.columns if name.startswith("slice_")]
    more = manifest[["group", *names]].iloc[places].reset_index(drop=True)
    more["is_positive"] = (labelled["label"] == page.vertical.positive_index).to_numpy()
    more["probability"] = labelled[f"probability_{page.vertical.positive_class}"].to_numpy()
    return more


def _decide(page: Page, rows: pd.DataFrame, threshold: float, costs: tuple[float, float]) -> dict[str, Any]:
    names = [name for name in rows.columns if name.startswith("slice_")]
    attributes = rows[names].rename(columns=lambda name: name.removeprefix("slice_"))
    return decide_at(
        rows["is_positive"].to_numpy(),
        rows["probability"].to_numpy(),
        threshold,
        *costs,
        attributes=attributes if names else None,
        groups=rows["group"].to_numpy(),
    )


def _choose(page: Page, used: float) -> tuple[float, tuple[float, float]]:
    """The cut-off, which stands in the address, and the two costs, which begin as params.yaml has them."""
    train = page.run.find_json("train", "model/scoring_model.json") or {}
    told = train.get("provenance", {}).get("params", {}).get("train", {})
    first, second, third = st.columns([3, 1, 1])
    asked = st.query_params.get("threshold", "")
    try:
        start = min(max(float(asked), 0.0), 1.0)
    except ValueError:
        start = used
    threshold = first.slider(
        f"{page.text('common.threshold')} ({page.text('used', value=f'{used:.3f}')})",
        0.0,
        1.0,
        start,
        0.005,
        format="%.3f",
        key=f"decide_threshold_{page.vertical_name}",
    )
    st.query_params["threshold"] = f"{threshold:.3f}"
    miss = second.number_input(
        page.text("false_negative"), 0.01, 1e6, float(told.get("cost_false_negative", 5.0)), key="decide_miss"
    )
    alarm = third.number_input(
        page.text("false_positive"), 0.01, 1e6, float(told.get("cost_false_positive", 1.0)), key="decide_alarm"
    )
    return threshold, (miss, alarm)


def _show_rates(page: Page, found: dict[str, Any]) -> None:
    """Cost and rates, each with its interval."""
    shown = {"cost_per_case": found["cost_per_case"], **{name: found["rates"][name] for name in OVERALL}}
    for column, (name, told) in zip(st.columns(len(shown)), shown.items(), strict=True):
        value = "–" if told["value"] is None else f"{told['value']:.3f}"
        between = "" if told["low"] is None else f"{told['low']:.3f} – {told['high']:.3f}"
        column.metric(page.text(name), value, between or None, delta_color="off", delta_arrow="off")


def confusion_table(page: Page, found: dict[str, Any]) -> pd.DataFrame:
    """Rows are labels, columns what they were called."""
    counts = [found["confusion"][name] for name in CELLS]
    positive = page.vertical.positive_class
    negative = next(name for name in page.vertical.classes if name != positive)
    called = [f"{page.text('called')}: {name}" for name in (positive, negative)]
    labels = [f"{page.text('truth')}: {name}" for name in (positive, negative)]
    return pd.DataFrame([[counts[0], counts[2]], [counts[1], counts[3]]], index=labels, columns=called)


def _curve(page: Page, rows: pd.DataFrame, costs: tuple[float, float], threshold: float, used: float) -> alt.LayerChart:
    """Cost per case over thresholds, with the one that is tried and the one in use."""
    curve = cost_curve(rows["is_positive"].to_numpy(), rows["probability"].to_numpy(), *costs)
    shown = np.unique(np.linspace(0, len(curve) - 1, MAX_CURVE_POINTS).round().astype(int))
    table = curve.iloc[shown].assign(threshold=curve["threshold"].clip(0, 1))
    line = (
        alt.Chart(table)
        .mark_line(color=COLOURS[0])
        .encode(
            x=alt.X("threshold:Q", title=page.text("common.threshold")),
            y=alt.Y("cost_per_row:Q", title=page.text("cost_per_case")),
        )
    )
    rules = [
        alt.Chart(pd.DataFrame({"at": [at]}))
        .mark_rule(color=colour, strokeDash=dash, strokeWidth=2)
        .encode(x=alt.X("at:Q"))
        for at, colour, dash in ((used, QUIET, [4, 3]), (threshold, COLOURS[1], [1, 0]))
    ]
    return alt.layer(line, *rules).properties(height=240)


def _show_slices(page: Page, found: dict[str, Any]) -> None:
    """Rates by group with intervals, and the four-fifths ratios."""
    if not found["slices"]:
        return
    st.subheader(page.text("slices"))
    for attribute, told in found["four_fifths"].items():
        if told["ratio"] is None:
            continue
        colour = "green" if told["passes_four_fifths"] else "red"
        words = page.text(
            "fairness",
            ratio=f"{told['ratio']:.2f}",
            attribute=attribute,
            least=told["least_favoured"],
            most=told["most_favoured"],
        )
        st.markdown(f":{colour}[{words}]")  # a badge would be cut on a phone
    flat = [
        {
            **{key: value for key, value in row.items() if not isinstance(value, dict)},
            **{
                name + end: value[key]
                for name, value in row.items()
                if isinstance(value, dict)
                for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))
            },
        }
        for row in found["slices"]
    ]
    show_rows(page, pd.DataFrame(flat))


def _show_proposals(page: Page, found: dict[str, Any], costs: tuple[float, float]) -> None:
    """A form for those who may propose, and what was proposed before."""
    store = open_page_store(page)
    st.subheader(page.text("propose"))
    st.caption(page.text("propose_text", vertical=page.vertical_name))
    if page.may("propose"):
        with st.form("proposal", clear_on_submit=True, border=False):
            reason = st.text_input(page.text("reason"), max_chars=500)
            is_sent = st.form_submit_button(page.text("propose"), icon=":material/send:")
        if is_sent:
            number = propose_threshold(page, found, costs, reason)
            st.success(page.text("saved", id=number))
    else:
        st.info(page.text("common.not_allowed", role=page.text(f"common.role_{page.visitor.role}")))
    proposals = store.proposals(page.vertical_name)
    st.subheader(page.text("proposals"))
    if not proposals:
        st.write(page.text("none_yet"))
        return
    shown = pd.DataFrame([asdict(one) for one in proposals]).drop(columns=["figures", "vertical", "model_digest"])
    show_rows(page, shown)
