"""Sections of the report of a predicted number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.intervals import wilson_interval
from core.evaluation.ledger import BASELINE
from core.regression.errors_by_prediction import MIN_BIN_ROWS
from core.regression.ledger_figure import plot_value_ledger
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.plots import plot_errors_by_prediction, plot_predicted_against_true
from core.regression.quantity import in_unit, metric_text, number_text, range_text, with_unit
from core.regression.report_facts import RegressionFacts
from core.reporting.sections import Section

NUM_SHOWN_FEATURES = 20


def accuracy_section(facts: RegressionFacts) -> Section:
    """All metrics with intervals, the naive rival, predicted against true, errors by prediction."""
    metrics, unit = facts.metrics, facts.unit
    percent = f"{metrics['confidence']:.0%}"
    rows = []
    known = [REGRESSION_METRICS[name] for name in REGRESSION_METRICS]
    known = [*(m for m in known if not m.needs_band), MEAN_ERROR, *(m for m in known if m.needs_band)]
    for metric in known:
        if metric.name in metrics:
            value, low, high = (
                metric_text(metric.name, metrics[metric.name][k], unit) for k in ("value", "low", "high")
            )
            rows.append({"metric": metric.title, "value": value, f"{percent} from": low, "to": high})
    if naive := metrics["naive"]:
        for title, told in (
            (f"Mean absolute error of the training median, {in_unit(naive['value'], unit)}", naive["mae"]),
            ("Gain over the training median", naive["gain"]),
        ):
            value, low, high = (in_unit(told[key], unit) for key in ("value", "low", "high"))
            rows.append({"metric": title, "value": value, f"{percent} from": low, "to": high})
    truth = {name: number_text(value) for name, value in metrics["truth"].items()}
    resampled = "whole groups of test rows" if metrics["groups"] else "test rows"
    text = (
        f"On {metrics['rows']:,} test rows that no choice has seen. Intervals: bootstrap over {resampled}. The true"
        f" {facts.quantity} runs from {truth['min']} to {truth['max']}; the middle 80 % from {truth['quantile_10']} to"
        f" {truth['quantile_90']}, median {truth['median']}. Errors are predicted minus true: above 0 is too high."
    )
    figures = (
        ("Predicted against true", plot_predicted_against_true(facts.rows, quantity=facts.quantity)),
        (
            "Error by size of the prediction",
            plot_errors_by_prediction(facts.tables["errors_by_prediction"], quantity=facts.quantity),
        ),
    )
    return Section("How good is it?", text, (("Metrics", pd.DataFrame(rows)),), figures)


def transfer_section(facts: RegressionFacts) -> Section:
    """The ledger: did the move help?"""
    ledger = facts.ledger
    rows = [
        {
            "labels": str(entry["budget"]),
            "method": entry["method"],
            ledger["metric_title"]: f"{number_text(entry['mean'])} {range_text(entry)}",
            with_unit("gain", ledger["metric_unit"]): _gain(entry),
            "p (Holm)": None if entry["verdict"] == BASELINE else entry["p_adjusted"],
            "verdict": entry["verdict"],
        }
        for entry in ledger["entries"]
    ]
    text = (
        "Every method got the same labels and predicted the same test rows; gain is against"
        f" {ledger['baseline']}, above 0 is better. In brackets: {ledger['confidence']:.0%} intervals, from resampling"
        " label draws and test rows together."
    )
    figures = (("Learning curves over label budgets", plot_value_ledger(ledger)),)
    return Section("Did transfer help?", text, (("Transfer ledger", pd.DataFrame(rows)),), figures)


def band_section(facts: RegressionFacts) -> Section:
    """How far the truth may be from a value, and where the band holds it."""
    title, band, unit = "How far off may it be?", facts.metrics["band"], facts.unit
    if band is None:
        return Section(title, f"The model has {facts.train['band_note']}. Values come without a band.")
    units, share = band["units"], f"{100 * (1 - band['error_rate']):.4g} %"
    held = "a new row" if units == "rows" else "all rows of a new group"
    text = (
        f"From {in_unit(band['below'], unit)} below the value to {in_unit(band['above'], unit)} above it: fitted on"
        f" {band['num_calibration_units']:,} labelled validation {units} that the regressor did not see, it is to hold"
        f" {held} with a probability of {share}, on average over rows and not for each kind of row. Of the"
        f" {band['num_units']:,} test {units} it held {band['num_inside']:,}, {band['share']:.1%}"
        f" [{band['low']:.1%}, {band['high']:.1%}]; the chance of so few, were the promise kept, is"
        f" {band['p_value']:.3f}."
    )
    tables = (("Share of true values inside, by size of the prediction", _coverage_by_prediction(facts)),)
    return Section(title, text, tables)


def model_section(facts: RegressionFacts) -> Section:
    """What was chosen and from what, what it reads, and the rows that it learned from."""
    train, unit = facts.train, facts.unit
    tables = []
    if train["selection"]:
        selection = pd.DataFrame(train["selection"]).rename(columns={"rmse": with_unit("held-out RMSE", unit)})
        tables.append(("Candidates on held-out target labels", selection.rename(columns={"p_value": "p"})))
    contributions = facts.tables["contributions"].head(NUM_SHOWN_FEATURES)
    size = contributions["mean_absolute"]
    shown = {
        "feature": contributions["feature"],
        "meaning": contributions["meaning"],
        with_unit("mean absolute contribution", unit): size.map(number_text),
    }
    tables.append(("What moves the value, over test rows", pd.DataFrame(shown)))
    rows = [{"split": name, "rows": told["rows"], "labelled": told["labelled"]} for name, told in train["rows"].items()]
    tables.append(("Rows that training saw", pd.DataFrame(rows)))
    text = (
        f"Transfer {transfer_words(train)}, regressor {train['regressor']}, fitted in {train['fit_seconds']:.1f} s;"
        f" {train['band_note']}."
    )
    other_units = {name: found for name, found in train["label_units"].items() if found != unit}
    if other_units:
        told = ", ".join(f"{name} ({found or 'no unit'})" for name, found in other_units.items())
        text += (
            f" The label has another unit in {told}: source_offset learns the way between the units; source_only,"
            f" pooled and importance_weighting take its numbers as {unit or 'they are'}."
        )
    return Section("What is the model?", text, tuple(tables))


def transfer_words(train: Mapping[str, Any]) -> str:
    """The transfer's name, of `auto` with its choice; train: what the stage `value_train` told."""
    chosen = [row["candidate"] for row in train["selection"] if row["is_chosen"]]
    return f"{train['transfer']} (chosen: {chosen[0]})" if chosen else train["transfer"]


def export_section(facts: RegressionFacts) -> Section:
    """Exported files, parity and latency."""
    told, difference = facts.export, facts.export["largest_relative_difference"]
    found = "infinite" if difference is None else f"{difference:.1e}"
    rows = {
        "format of the files": told["format"],
        "rows compared": f"{told['rows_compared']:,}, and {told['rows_compared_one_by_one']} of them one by one",
        "largest relative difference": f"{found}, allowed {told['tolerance']:g}",
        "equal": "yes" if told["is_equal"] else "NO",
        "one row": f"{told['one_row_ms']:g} ms",
        "rows per second, in one batch": f"{told['rows_per_second']:,}",
    }
    table = pd.DataFrame({"what": list(rows), "value": list(rows.values())})
    return Section("What runs elsewhere?", tables=(("Export", table),))


def _coverage_by_prediction(facts: RegressionFacts) -> pd.DataFrame:
    """One row a bin of the prediction: its ends, rows, share inside with Wilson interval."""
    rows = facts.rows
    low, high = rows.require_band()
    is_inside = (low <= rows.truth) & (rows.truth <= high)
    bins = equal_mass_bins(rows.value, max(1, min(facts.params.evaluate.num_bins, len(rows) // MIN_BIN_ROWS)))
    found = []
    for number in range(bins.max() + 1):
        mask = bins == number
        bottom, top = wilson_interval(is_inside[mask].sum(), mask.sum(), facts.metrics["confidence"])
        value = rows.value[mask]
        found.append(
            {
                with_unit("predicted from", facts.unit): number_text(value.min()),
                "to": number_text(value.max()),
                "rows": int(mask.sum()),
                "inside": f"{is_inside[mask].mean():.1%}",
                "interval": f"[{bottom:.1%}, {top:.1%}]",
            }
        )
    return pd.DataFrame(found)


def _gain(entry: dict) -> str | None:
    """The gain over the baseline with its interval; none for the baseline itself, or without one at that budget."""
    if entry["difference"] is None or entry["verdict"] == BASELINE:
        return None
    return f"{number_text(entry['difference'], sign=True)} {range_text(entry, 'difference_', sign=True)}"
