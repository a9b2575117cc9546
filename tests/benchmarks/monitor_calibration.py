"""How often the drift monitor cries wolf, what it finds and how soon, and how far its estimate without labels is off.

    python tests/benchmarks/monitor_calibration.py --no-drift 1000 --replays 200 --months 6 --root . \
        --output verticals/credit_risk/results/monitor.json

Real rows of a prepared vertical that its champion did not learn from, shuffled, so that a reference and a batch drawn
from them without replacement (whole groups) differ by chance alone; drifts are then planted in the batch.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, write_json
from core.data.prepared import open_prepared
from core.data.samples import Samples, concatenate
from core.evaluation.intervals import wilson_interval
from core.learners.descriptions import describer_of
from core.learners.scoring_model import ScoringModel
from core.lifecycle.monitor.performance_estimate import FIGURES, estimate_performance, observe_performance
from core.lifecycle.monitor.recommend import recommend
from core.lifecycle.monitor.watch import MonitorOptions, MonitorReport, Snapshot, watch
from core.params import load_params
from core.vertical import load_vertical

OPTIONS = MonitorOptions(num_bootstrap=100)  # the estimate's interval is measured by itself
PICTURES_AT_ONCE = 64
PRIOR_SHIFT, MIX_SHIFT, FLIPPED = 0.2, 1.0, 0.5  # of the estimate's scenarios


@dataclass(frozen=True)
class Pool:
    """Labelled rows with the champion's probability (N,), targets (N,), and descriptors of pictures or None."""

    model: ScoringModel
    samples: Samples
    inputs: pd.DataFrame
    features: np.ndarray | None
    probability: np.ndarray
    targets: np.ndarray

    @property
    def numbers(self) -> list[str]:
        """Numbers with at least 20 distinct values, the one that goes least with any other first (by rank)."""
        ranks = self.inputs[self.model.schema.names("number")].rank()
        together = ranks.corr().abs().to_numpy(copy=True)
        np.fill_diagonal(together, 0.0)
        order = np.argsort(np.nan_to_num(together).max(axis=0, initial=0.0), kind="stable")
        return [name for name in ranks.columns[order] if self.inputs[name].nunique() >= 20]

    @property
    def number(self) -> str | None:
        """The number that is changed."""
        return next(iter(self.numbers), None)

    @property
    def category(self) -> str | None:
        """The category whose most frequent value has the smallest share."""
        shares = {name: self.inputs[name].value_counts().iloc[0] for name in self.model.schema.names("category")}
        return min(shares, key=shares.get, default=None)

    def draw(self, num_reference: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the reference and of all other rows, whole groups, shuffled."""
        groups = self.samples.groups.astype(str)
        names = random.permutation(np.unique(groups))
        place = {name: turn for turn, name in enumerate(names)}
        turn_of_row = np.array([place[group] for group in groups])
        sizes = np.bincount(turn_of_row)
        is_reference = (np.cumsum(sizes) <= num_reference)[turn_of_row]
        return np.flatnonzero(is_reference), random.permutation(np.flatnonzero(~is_reference))

    def snapshot(self, rows: np.ndarray, **changes) -> Snapshot:
        """The rows; changed inputs are scored anew."""
        inputs = self.inputs.iloc[rows].reset_index(drop=True)
        probability = self.probability[rows]
        if "inputs" in changes:
            inputs = changes["inputs"]
            changed = replace(self.samples.take(rows), inputs=inputs)
            probability = self.model.predict_probability(changed)[:, self.model.positive_index]
        return Snapshot(
            inputs=inputs,
            features=None if self.features is None else self.features[rows],
            group=self.samples.groups[rows],
            probability=probability,
            targets=changes.get("targets", self.targets[rows]),
            threshold=self.model.threshold,
        )


def open_pool(root: Path, name: str, splits: list[str]) -> Pool:
    """The rows of the splits and the champion's scores of them."""
    vertical = load_vertical(name)
    artifacts = Artifacts(root / "artifacts", name)
    opened = open_prepared(vertical, load_params(root / "params.yaml", name), artifacts, splits)
    model = ScoringModel.load(artifacts.path("train", "model"))
    parts = [samples.labelled() for samples in opened.values()]
    pictures = model.schema.names("image")
    scores, described = [], []
    for part in parts:
        for start in range(0, len(part), PICTURES_AT_ONCE if pictures else len(part)):
            some = part.take(np.arange(start, min(start + PICTURES_AT_ONCE, len(part)))) if pictures else part
            scores.append(model.predict_probability(some)[:, model.positive_index])
            if pictures:
                described.append(np.asarray(describer_of(model.learner)(some), dtype=float))
    samples = concatenate(parts)
    return Pool(
        model=model,
        samples=samples,
        inputs=samples.inputs[model.schema.names("number", "category")],
        features=np.concatenate(described) if described else None,
        probability=np.concatenate(scores),
        targets=(samples.targets == model.positive_index).astype(float),
    )


def in_deviations(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """A number moved up by `strength` of its deviations."""
    step = strength * pool.inputs[pool.number].std()
    inputs = pool.inputs.iloc[rows].reset_index(drop=True)
    return pool.snapshot(rows, inputs=inputs.assign(**{pool.number: inputs[pool.number] + step}))


def tied_in_deviations(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """As `in_deviations`, of the number that goes most with another: the two no longer fit each other."""
    step = strength * pool.inputs[pool.numbers[-1]].std()
    inputs = pool.inputs.iloc[rows].reset_index(drop=True)
    return pool.snapshot(rows, inputs=inputs.assign(**{pool.numbers[-1]: inputs[pool.numbers[-1]] + step}))


def to_one_category(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """A share of the rows gets a category's most frequent value."""
    inputs = pool.inputs.iloc[rows].reset_index(drop=True)
    is_moved = random.uniform(size=len(rows)) < strength
    most = pool.inputs[pool.category].mode().iloc[0]
    return pool.snapshot(rows, inputs=inputs.assign(**{pool.category: inputs[pool.category].where(~is_moved, most)}))


def to_missing(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """A share of a number's values goes missing."""
    inputs = pool.inputs.iloc[rows].reset_index(drop=True)
    is_lost = random.uniform(size=len(rows)) < strength
    return pool.snapshot(rows, inputs=inputs.assign(**{pool.number: inputs[pool.number].where(~is_lost)}))


def to_more_positives(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """The share of positives rises by `strength`; rows are left out to reach it, so the batch is smaller."""
    rate = min(pool.targets.mean() + strength, 0.95)
    sides = [rows[pool.targets[rows] == side] for side in (0, 1)]
    num = int(min(len(sides[0]) / (1 - rate), len(sides[1]) / rate))
    num_positive = round(num * rate)
    return pool.snapshot(np.concatenate([sides[1][:num_positive], sides[0][: num - num_positive]]))


def to_higher_odds(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """Equal inputs, but the outcome's log-odds are higher by `strength`: negatives turn positive in that measure."""
    told = pool.probability[rows]
    higher = 1 / (1 + np.exp(-strength) * (1 / np.clip(told, 1e-6, 1) - 1))
    turns = random.uniform(size=len(rows)) < (higher - told) / np.maximum(1 - told, 1e-6)
    return pool.snapshot(rows, targets=np.maximum(pool.targets[rows], turns))


def to_other_labels(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """Labels of the upper half by a number (without one: by the probability) turn round, a share of them."""
    values = pool.probability if pool.number is None else pool.inputs[pool.number].to_numpy()
    turns = (values[rows] > np.nanmedian(values)) & (random.uniform(size=len(rows)) < strength)
    return pool.snapshot(rows, targets=np.where(turns, 1 - pool.targets[rows], pool.targets[rows]))


def to_riskier_mix(pool: Pool, rows: np.ndarray, strength: float, random: np.random.Generator) -> Snapshot:
    """Half of the rows, drawn by exp(strength * standardised log-odds of the champion): the mix moves, nothing else."""
    log_odds = np.log(np.clip(pool.probability[rows], 1e-6, 1 - 1e-6))
    log_odds -= np.log1p(-np.clip(pool.probability[rows], 1e-6, 1 - 1e-6))
    weights = np.exp(strength * (log_odds - log_odds.mean()) / log_odds.std())
    return pool.snapshot(random.choice(rows, len(rows) // 2, replace=False, p=weights / weights.sum()))


Drift = Callable[[Pool, np.ndarray, float, np.random.Generator], Snapshot]
TABLE_DRIFTS: dict[str, tuple[Drift, tuple[float, ...]]] = {
    "number_moves_by_deviations": (in_deviations, (0.1, 0.25, 0.5, 0.75, 1.0)),
    "tied_number_moves_by_deviations": (tied_in_deviations, (0.1, 0.25, 0.5)),
    "category_gains_share": (to_one_category, (0.1, 0.2, 0.3, 0.5)),
    "number_goes_missing": (to_missing, (0.02, 0.05, 0.1, 0.2)),
}
LABEL_DRIFTS: dict[str, tuple[Drift, tuple[float, ...]]] = {
    "prior_shift": (to_more_positives, (0.05, 0.1, 0.2, 0.3)),
    "calibration_by_log_odds": (to_higher_odds, (0.25, 0.5, 1.0, 1.5)),
    "concept_labels_turned": (to_other_labels, (0.1, 0.25, 0.5, 1.0)),
}
SCENARIOS: dict[str, tuple[Drift, float]] = {
    "no_drift": (to_other_labels, 0.0),
    "covariate_shift": (to_riskier_mix, MIX_SHIFT),
    "prior_shift": (to_more_positives, PRIOR_SHIFT),
    "concept_drift": (to_other_labels, FLIPPED),
}


def rate_of(hits: int, num: int) -> dict[str, float]:
    """A share with its Wilson interval."""
    low, high = wilson_interval(hits, num)
    return {"replays": num, "rate": round(hits / num, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def told_of(reports: list[MonitorReport]) -> dict:
    """Share of the months that alarm, at all and by kind, and what was recommended."""
    kinds = Counter(kind for report in reports for kind in {test.kind for test in report.alarms})
    actions = Counter(recommend(report, has_labels=True).action for report in reports)
    return {
        **rate_of(sum(report.has_alarm() for report in reports), len(reports)),
        "by_kind": {kind: round(count / len(reports), 4) for kind, count in kinds.most_common()},
        "recommended": {action: round(count / len(reports), 4) for action, count in actions.most_common()},
    }


def measure_false_alarms(pool: Pool, num_reference: int, replays: int) -> dict:
    """(a) Months without drift."""
    reports = []
    for replay in range(replays):
        reference, rest = pool.draw(num_reference, np.random.default_rng([replay, 0]))
        reports.append(watch(pool.snapshot(reference), pool.snapshot(rest), OPTIONS, seed=replay))
    level = OPTIONS.family_error_rate
    significant = sum(any(test.p_adjusted <= level for test in report.tests) for report in reports)
    found = told_of(reports)
    return {
        "tests": len(reports[0].tests),
        "alarms": found,
        "significant_whatever_the_effect": rate_of(significant, replays),
        "promised": level,
        "promise_is_refuted": bool(found["low"] > level),
    }


def measure_detection(pool: Pool, num_reference: int, drift: Drift, strengths: tuple[float, ...], replays: int) -> list:
    """(b) Share of months found, by strength."""
    rows = []
    for strength in strengths:
        reports = []
        for replay in range(replays):
            random = np.random.default_rng([replay, 1])
            reference, rest = pool.draw(num_reference, random)
            batch = drift(pool, rest, strength, random)
            reports.append(watch(pool.snapshot(reference), batch, OPTIONS, seed=replay))
        rows.append(
            {"strength": strength, "mean_rows": float(np.mean([r.num_rows for r in reports])), **told_of(reports)}
        )
    return rows


def measure_delay(pool: Pool, num_reference: int, drift: Drift, top: float, months: int, replays: int) -> dict:
    """(b) The drift grows evenly to its top over the months; every month shuffles the rows outside the reference."""
    firsts = []
    for replay in range(replays):
        random = np.random.default_rng([replay, 2])
        reference, rest = pool.draw(num_reference, random)
        first = None
        for month in range(1, months + 1):
            rows = random.permutation(rest)[: len(rest) * 3 // 4]
            batch = drift(pool, rows, top * month / months, random)
            if watch(pool.snapshot(reference), batch, OPTIONS, seed=replay * months + month).has_alarm():
                first = month
                break
        firsts.append(first)
    found = [first for first in firsts if first is not None]
    return {
        "top_strength": top,
        "months": months,
        "found": rate_of(len(found), replays),
        "median_month_of_first_alarm": float(np.median([first or np.inf for first in firsts])),
        "first_alarms_by_month": {month: found.count(month) for month in range(1, months + 1)},
    }


def measure_estimate(pool: Pool, num_reference: int, drift: Drift, strength: float, replays: int) -> dict:
    """(c) Estimated less observed figures of batches, and how often the interval holds the observed one."""
    errors, held = {name: [] for name in FIGURES}, Counter()
    for replay in range(replays):
        random = np.random.default_rng([replay, 3])
        batch = drift(pool, pool.draw(num_reference, random)[1], strength, random)
        told = estimate_performance(
            batch.probability, batch.threshold, groups=batch.group, num_bootstrap=200, seed=replay
        )
        seen = observe_performance(batch.targets, batch.probability, batch.threshold, num_bootstrap=1)
        for name in FIGURES:
            interval, truth = getattr(told, name), getattr(seen, name).value
            errors[name].append(interval.value - truth)
            held[name] += interval.low <= truth <= interval.high
    return {
        name: {
            "mean_error": round(float(np.mean(errors[name])), 4),
            "mean_absolute_error": round(float(np.mean(np.abs(errors[name]))), 4),
            "interval_holds": rate_of(held[name], replays),
        }
        for name in FIGURES
    }


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--no-drift", type=int, default=1000, help="months without drift (1000)")
    parser.add_argument("--replays", type=int, default=200, help="of the estimate; a fifth for each drift (200)")
    parser.add_argument("--months", type=int, default=6, help="of a drift that grows (6)")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder, with artifacts/")
    parser.add_argument("--vertical", default="credit_risk")
    parser.add_argument("--splits", nargs="+", default=["valid", "test"], help="rows to draw from (valid test)")
    parser.add_argument("--output", type=Path, default=Path("verticals/credit_risk/results/monitor.json"))
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    chosen = parse_arguments()
    started = time.perf_counter()

    def tell(what: str) -> None:
        print(f"{time.perf_counter() - started:5.0f} s  {what}", flush=True)

    pool = open_pool(chosen.root, chosen.vertical, chosen.splits)
    num_reference, few = len(pool.samples) // 2, max(chosen.replays // 5, 2)
    tell(f"{len(pool.samples)} rows of {len(np.unique(pool.samples.groups))} groups, {num_reference} as reference")
    result = {
        "title": f"Drift monitor on {chosen.vertical}: false alarms, detection, estimate without labels",
        "command": f"python tests/benchmarks/monitor_calibration.py --vertical {chosen.vertical} "
        f"--no-drift {chosen.no_drift} --replays {chosen.replays} --months {chosen.months}",
        "rows": {"pool": len(pool.samples), "reference": num_reference, "splits": chosen.splits},
        "changed_columns": {"number": pool.number, "tied": pool.numbers[-1:], "category": pool.category},
        "false_alarms": measure_false_alarms(pool, num_reference, chosen.no_drift),
    }
    tell(f"false alarms: {result['false_alarms']['alarms']}")
    result |= {"detection": {}, "delay": {}, "estimate": {}}
    drifts = (TABLE_DRIFTS if pool.number and pool.category else {}) | LABEL_DRIFTS
    for name, (drift, strengths) in drifts.items():
        result["detection"][name] = measure_detection(pool, num_reference, drift, strengths, few)
        tell(f"{name}: " + ", ".join(f"{row['strength']:g}: {row['rate']:.2f}" for row in result["detection"][name]))
        result["delay"][name] = measure_delay(pool, num_reference, drift, strengths[-1], chosen.months, few // 2)
        tell(f"{name}: first alarm in month {result['delay'][name]['median_month_of_first_alarm']:g} (median)")
    for name, (drift, strength) in SCENARIOS.items():
        found = measure_estimate(pool, num_reference, drift, strength, chosen.replays)
        result["estimate"][name] = {"strength": strength, **found}
        tell(f"estimate, {name}: AUC off by {found['auc']['mean_error']:+.3f}")
    result["notes"] = [
        "Strengths: deviations, shares of rows, added share of positives, log-odds, share of labels turned round.",
        "All months are labelled. Prior shift and covariate shift leave rows out, so their batches are smaller.",
        "Concept drift the estimate can't see: it stays where it was while the truth falls. Under prior shift it is "
        "off in the old rate's direction. Without drift its error is the champion's own miscalibration on these rows.",
    ]
    result["seconds"] = round(time.perf_counter() - started)
    write_json(chosen.output, result)
    tell(f"written: {chosen.output}")


if __name__ == "__main__":
    main()
