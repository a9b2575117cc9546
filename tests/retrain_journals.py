"""Journals of retraining runs for tests: every outcome, with the monitor's real report on drawn rows."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from core.artifacts import to_plain
from core.lifecycle.monitor.recommend import recommend
from core.lifecycle.monitor.watch import MonitorOptions, Snapshot, watch

QUICK = MonitorOptions(num_permutations=99, num_bootstrap=100)


@cache
def monitor_report(*, shift: float = 0.8, share_labelled: float = 0.6, seed: int = 0):
    """Of 240 rows whose income moved by `shift`."""
    random = np.random.default_rng(seed)

    def side(num_rows: int, moved: float, labelled: float) -> Snapshot:
        income = random.normal(size=num_rows) + moved
        kind = random.choice(["owner", "tenant", "other"], num_rows, p=[0.5, 0.4, 0.1]).astype(object)
        probability = 1 / (1 + np.exp(0.6 + 1.3 * income - 0.8 * (kind == "tenant")))
        targets = (random.uniform(size=num_rows) < probability).astype(float)
        targets[random.uniform(size=num_rows) > labelled] = np.nan
        inputs = pd.DataFrame({"income": income, "age_years": random.normal(40, 9, num_rows), "housing": kind})
        return Snapshot(inputs, None, np.arange(num_rows), probability, targets, 1 / 6)

    return watch(side(300, 0.0, 1.0), side(240, shift, share_labelled), QUICK, seed=seed)


def watched(**settings) -> dict:
    report = monitor_report(**settings)
    return {
        "recommendation": recommend(report, has_labels=True).as_dict(),
        "batches": ["2010-02", "2010-03"],
        "num_new_labels": 744,
        "batch_problems": [],
        "reports": [{"name": "rows since the champion", "batches": ["2010-03"], "report": report.as_dict()}],
    }


def comparison(rows: str, metric: str, slice_name: str, difference: float, half: float, num_rows: int = 412) -> dict:
    champion = {"auc": 0.742, "brier": 0.181, "cost_per_case": 0.63}[metric]
    return {
        "rows": rows,
        "metric": metric,
        "slice": slice_name,
        "num_rows": num_rows,
        "champion": champion,
        "challenger": champion + difference * (1 if metric == "auc" else -1),
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "p_value": 0.0004 if abs(difference) > half else 0.21,
    }


def judged(decision: str) -> dict:
    gain = {"ship": 0.023, "hold": 0.004, "refuse": -0.031}[decision]
    gate = {"wanted": "no significant loss", "reason": "The challenger is better by more than chance on 412 rows."}
    gates = [
        {"name": "release: transfer", "value": "gain", "wanted": "no negative transfer", "is_passed": True,
         "consequence": "refuse", "reason": "Above the baseline with its whole interval."},
        {"name": "release: calibration", "value": 0.0412, "wanted": "error <= 0.1", "is_passed": True,
         "consequence": "hold", "reason": "Prices and cut-offs use the probability itself, not only its order."},
        {**gate, "name": "fresh hold-out: Area under the ROC curve", "value": f"{gain:+.4f} [{gain - 0.015:+.4f}, "
         f"{gain + 0.015:+.4f}]", "is_passed": decision != "refuse", "consequence": "refuse"},
        {**gate, "name": "gain", "value": "none is better by more than chance", "is_passed": decision != "hold",
         "consequence": "hold", "wanted": "a gain beyond chance", "reason": "A change of model has its own risk."},
    ]  # fmt: skip
    comparisons = [
        comparison("fresh hold-out", "auc", "", gain, 0.015),
        comparison("fresh hold-out", "brier", "", gain / 4, 0.004),
        comparison("fresh hold-out", "cost_per_case", "", gain * 2, 0.06),
        comparison("fresh hold-out", "auc", "sex = female", gain + 0.01, 0.035, 131),
        comparison("fresh hold-out", "auc", "sex = male", gain - 0.006, 0.02, 281),
        comparison("fresh hold-out", "auc", "age: 19 to 28", gain - 0.02, 0.041, 120),
        {**comparison("fresh hold-out", "auc", "age is missing", 0.0, 0.0, 9), "difference": None, "low": None,
         "high": None, "p_value": None, "challenger": None},
        comparison("regression set", "auc", "", gain / 2, 0.012, 260),
    ]  # fmt: skip
    headline = {
        "ship": "Ready to release: every gate is passed",
        "hold": "Hold for a person: a gate asks for judgement",
        "refuse": "Refused: this model must not be released",
    }[decision]
    return {"decision": decision, "headline": headline, "gates": gates, "comparisons": comparisons}


def decided(outcome: str) -> dict:
    reason = {
        "promoted": "Every gate is passed (r0007).",
        "kept": "The monitor asks for nothing. No test alarms.",
        "held": "Hold for a person: a gate asks for judgement: gain.",
    }.get(outcome, "Refused: this model must not be released: fresh hold-out.")
    champion = "v0004" if outcome == "promoted" else "v0003"
    challenger = None if outcome == "kept" else "v0004"
    return {"outcome": outcome, "reason": reason, "champion": champion, "previous": "v0003",
            "challenger": challenger, "set_aside": []}  # fmt: skip


def journal_of(outcome: str, *, run: int = 7, until: str = "decide", batch: str = "2010-03", **settings) -> dict:
    """A run that was done as far as `until`; settings: of `monitor_report`."""
    steps = {
        "take_in": {
            "domain": "my_bank", "batch": batch, "rows": 1240, "quarantined": 12, "unlabelled": 496,
            "notes": ["12 rows are in the quarantine: 'income' holds no number.", "3 rows were there before."],
            "batches": ["2009-01", batch],
        },
        "prepare": {},
        "watch": watched(**settings),
        "train": {"kind": "none" if outcome == "kept" else "pipeline", "reason": "The monitor asks for it.",
                  "fit_seconds": 246.1, "model_digest": "a3" * 32},
        "judge": judged({"promoted": "ship", "held": "hold"}.get(outcome, "refuse")),
        "register": {"version": "v0004", "data_md5": "9324e6206aa9a6b47323b75a1a610836.dir"},
        "push": {"is_pushed": False, "reason": "retrain.push is off"},
        "decide": decided(outcome),
    }  # fmt: skip
    if outcome == "kept":
        del steps["judge"], steps["register"], steps["push"]
    names = list(steps)[: [*steps, until].index(until) + 1]
    seconds = {"take_in": 2.31, "watch": 14.2, "train": 246.1, "judge": 31.7}
    month = f"{2010 + run // 12}-{run % 12 + 1:02d}"
    return to_plain({
        "format": 1, "run": f"r{run:04d}", "vertical": "credit_risk",
        "started_at": f"{month}-01T03:17:00.000000+00:00", "ended_at": f"{month}-01T03:22:01.500000+00:00",
        "batch": {"name": batch, "domain": "my_bank", "file": f"{batch}.csv", "sha256": "5e" * 32},
        "outcome": outcome,
        "steps": {name: {"done_at": f"{month}-01T03:21:00+00:00", "seconds": seconds.get(name, 0.4),
                         "result": steps[name]} for name in names},
    })  # fmt: skip


def earlier_runs(number: int = 6) -> list[dict]:
    """Runs of all outcomes; the second stopped before it watched, the fourth has no labels."""
    outcomes = ["promoted", "held", "kept", "kept", "promoted", "refused"]
    runs = []
    for place in range(number):
        outcome = outcomes[place % len(outcomes)]
        until = "take_in" if outcome == "held" else "decide"
        share = 0.0 if place % 6 == 3 else 0.6
        shift = 0.9 if outcome in ("promoted", "refused") else 0.0
        settings = {"shift": shift, "share_labelled": share, "seed": place % 6}
        runs.append(journal_of(outcome, run=place + 1, until=until, batch=f"2009-{place % 12 + 1:02d}", **settings))
    return runs
