"""What a replay shows: AUC and cost of the three ways on the same cases, by paired tests, and a figure by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, new_figure, quiet_axes
from core.evaluation.intervals import percentile_range
from core.evaluation.metrics import METRICS
from core.evaluation.paired_tests import bootstrap_p_value
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows
from core.lifecycle.retrain.replay import ALWAYS, LOOP, NEVER, WAYS

STYLES = {NEVER: (BASELINE_COLOUR, "-"), LOOP: (COLOURS[0], "-"), ALWAYS: (COLOURS[1], "--")}
TITLES = {NEVER: "never retrain", LOOP: "the loop", ALWAYS: "always retrain"}
OUTCOME_MARKS = {"promoted": ("^", COLOURS[2]), "refused": ("X", COLOURS[1]), "held": ("s", COLOURS[4])}


def summarise(
    scores: pd.DataFrame,
    months: Sequence[Mapping[str, Any]],
    *,
    cost_false_negative: float,
    cost_false_positive: float,
    num_bootstrap: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Each way's figures over all months with intervals by whole groups, and the loop against both rivals.

    auc: mean over the months with both classes of the AUC within the month, each month weighted by its pairs of a
    positive and a negative, so that a level that moves between months counts for nothing. brier, cost_per_case: over
    all cases, the cost at the threshold of the model that served. Differences are of the same drawn groups; gain above
    0: the loop is better.
    """
    scores = scores.dropna(subset=["is_positive"]).reset_index(drop=True)
    measures = {way: _measures(scores, way, cost_false_negative, cost_false_positive) for way in WAYS}
    groups = scores["group"].to_numpy(dtype=object)
    ones = np.ones((1, len(scores)))
    chunks = list(resample_counts(len(scores), num_bootstrap, seed=seed, groups=groups))
    drawn = {
        way: {name: np.concatenate([measure(counts) for counts in chunks]) for name, measure in told.items()}
        for way, told in measures.items()
    }
    ways, gains = {}, {}
    for way, told in measures.items():
        ways[way] = {}
        for name, measure in told.items():
            low, high = percentile_range(drawn[way][name], confidence)
            ways[way][name] = {"value": float(measure(ones)[0]), "low": low, "high": high}
    for rival in (NEVER, ALWAYS):
        gains[rival] = {}
        for name in measures[LOOP]:
            sign = 1 if name == "auc" else -1
            gaps = sign * (drawn[LOOP][name] - drawn[rival][name])
            low, high = percentile_range(gaps, confidence)
            value = sign * (ways[LOOP][name]["value"] - ways[rival][name]["value"])
            gains[rival][name] = {"value": value, "low": low, "high": high, "p_value": bootstrap_p_value(gaps)}
    outcomes = pd.Series([month["outcome"] for month in months]).value_counts().to_dict()
    return {
        "cases": len(scores),
        "positives": int(scores["is_positive"].sum()),
        "num_months": len(months),
        "outcomes": outcomes,
        "num_trained": sum(month["trained"] != "none" for month in months),
        "num_months_with_alarm": sum(bool(month["alarms"]) for month in months),
        "ways": ways,
        "gain_of_the_loop_over": gains,
        "by_month": by_month(scores, cost_false_negative, cost_false_positive),
        "months": list(months),
    }


def by_month(scores: pd.DataFrame, cost_false_negative: float, cost_false_positive: float) -> list[dict[str, Any]]:
    """AUC (None where a class is missing) and mean cost of each way, month by month."""
    told = []
    for month, part in scores.groupby("month", sort=False):
        row: dict[str, Any] = {"month": month, "cases": len(part), "rate": float(part["is_positive"].mean())}
        for way in WAYS:
            measures = _measures(part.reset_index(drop=True), way, cost_false_negative, cost_false_positive)
            for name, measure in measures.items():
                value = float(measure(np.ones((1, len(part))))[0])
                row[f"{name}_{way}"] = value if np.isfinite(value) else None
        told.append(row)
    return told


def _measures(scores: pd.DataFrame, way: str, cost_false_negative: float, cost_false_positive: float) -> dict[str, Any]:
    """name -> function of weights (B, N) to values (B,)."""
    target = scores["is_positive"].to_numpy(dtype=int)
    probability = scores[f"probability_{way}"].to_numpy(dtype=float)
    is_adverse = probability >= scores[f"threshold_{way}"].to_numpy(dtype=float)
    cost = np.where(target == 1, cost_false_negative * ~is_adverse, cost_false_positive * is_adverse)
    parts = [np.flatnonzero(scores["month"] == month) for month in pd.unique(scores["month"])]
    parts = [(rows, ScoredRows.of_score(target[rows], probability[rows])) for rows in parts]

    def auc(weights: np.ndarray) -> np.ndarray:
        won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for rows, scored in parts:
            own = weights[:, rows]
            here = own[:, target[rows] == 1].sum(axis=1) * own[:, target[rows] == 0].sum(axis=1)
            value = METRICS["auc"].weighted(scored, own)
            won += np.where(here > 0, here * np.nan_to_num(value), 0.0)
            pairs += here
        with np.errstate(invalid="ignore"):
            return won / pairs

    def mean(values: np.ndarray) -> Any:
        return lambda weights: weights @ values / weights.sum(axis=1)

    return {"auc": auc, "brier": mean((probability - target) ** 2), "cost_per_case": mean(cost)}


def draw(result: Mapping[str, Any], title: str, *, unit: str = "month") -> Figure:
    """AUC by month and the cost saved so far against never retraining, with alarms and outcomes."""
    months = result["by_month"]
    names = [month["month"] for month in months]
    places = np.arange(len(names))
    figure = new_figure(11.5, 6.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    quiet_axes(top, title=f"AUC within the {unit} (mean of three)", x_label="", y_label="AUC")
    quiet_axes(bottom, title="Cost saved so far against never retraining", x_label="", y_label="cost (false positives)")
    for way in WAYS:
        colour, line = STYLES[way]
        auc = pd.Series([month[f"auc_{way}"] for month in months], dtype=float)
        top.plot(places, auc.rolling(3, min_periods=1).mean(), line, color=colour, lw=1.8, label=TITLES[way])
        saved = np.cumsum([m["cases"] * (m[f"cost_per_case_{NEVER}"] - m[f"cost_per_case_{way}"]) for m in months])
        if way != NEVER:
            bottom.plot(places, saved, line, color=colour, lw=1.8)
    bottom.axhline(0, color=BASELINE_COLOUR, lw=1)
    low = top.get_ylim()[0]
    by_name = {month["month"]: month for month in result["months"]}
    for outcome, (mark, colour) in OUTCOME_MARKS.items():
        where = [place for place, name in enumerate(names) if by_name[name]["outcome"] == outcome]
        if where:
            top.plot(where, np.full(len(where), low), mark, color=colour, ms=8, label=outcome, clip_on=False)
    alarms = [place for place, name in enumerate(names) if by_name[name]["alarms"]]
    for place in alarms:
        top.axvspan(place - 0.5, place + 0.5, color="#E69F00", alpha=0.12, lw=0)
    if alarms:
        top.axvspan(np.nan, np.nan, color="#E69F00", alpha=0.25, lw=0, label="alarm of the monitor")
    step = max(1, len(names) // 12)
    bottom.set_xticks(places[::step], names[::step], rotation=30, ha="right")
    top.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12.5)
    return figure
