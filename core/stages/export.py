"""Stage `export`: a points scorecard as SQL and JSON, proven equal on every test row, and the model's latency."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, replacing_folder, write_json, write_table, write_text
from core.data.prepared import open_prepared
from core.data.samples import Samples, concatenate
from core.evaluation.metrics import METRICS
from core.learners.scorecard import Scorecard
from core.learners.scorecard_export import DIALECTS, to_json, to_sql
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.vertical import Vertical


def export(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `files/` (scorecard.<dialect>.sql, scorecard.json, points.csv) and `export_metrics.json`.

    Where the model is no scorecard itself, one is fitted on the same training rows as its plain companion. A vertical
    with an export of its own (pictures: ONNX) writes its files instead.
    """
    model = ScoringModel.load(artifacts.require("train", "model"))
    opened = open_prepared(vertical, params, artifacts, splits=("train", "valid", "test"))
    if vertical.export is not None:
        with replacing_folder(artifacts.path("export", "files")) as folder:
            metrics = vertical.export(model, opened, params, folder)
        write_json(artifacts.path("export", "export_metrics.json"), metrics)
        return
    test = opened["test"]
    card = model.learner if isinstance(model.learner, Scorecard) else None
    is_companion = card is None
    if card is None:
        card = Scorecard({}, seed=seed).fit(concatenate([opened["train"], opened["valid"]]))
    with replacing_folder(artifacts.path("export", "files")) as folder:
        for dialect in DIALECTS:
            write_text(folder / f"scorecard.{dialect}.sql", to_sql(card, "applications", dialect) + ";\n")
        write_json(folder / "scorecard.json", to_json(card))
        write_table(folder / "points.csv", points_table(card))
    difference = sql_difference(card, test)
    labelled = test.labelled()
    metric = METRICS[vertical.metrics[0]]
    score = {
        name: metric.function(labelled.targets, learner.predict_probability(labelled), vertical.positive_index)
        for name, learner in (("model", model), ("scorecard", card))
    }
    write_json(
        artifacts.path("export", "export_metrics.json"),
        {
            "scorecard_is": "a companion of the model" if is_companion else "the model itself",
            "rows_compared": len(test),
            "largest_difference": difference,
            "is_equal": bool(difference <= params.export.parity_tolerance),
            f"model_test_{metric.name}": score["model"],
            f"scorecard_test_{metric.name}": score["scorecard"],
            **latency(model, test, num_rows=params.export.num_latency_rows),
        },
    )


def points_table(card: Scorecard) -> pd.DataFrame:
    """One row a bin: column, what falls in it, points, count, event rate."""
    rows = []
    for column in card.columns_:
        for part in column.bins:
            rows.append(
                {
                    "column": column.name,
                    "bin": part.label,
                    "points": part.points,
                    "count": part.count,
                    "event_rate": part.event_rate,
                }
            )
    return pd.DataFrame(rows)


def sql_difference(card: Scorecard, samples: Samples) -> float:
    """Largest absolute difference between the SQL's probability, run in SQLite, and the learner's."""
    inputs = samples.inputs.astype(object).where(samples.inputs.notna(), None)
    with sqlite3.connect(":memory:") as connection:
        inputs.to_sql("applications", connection, index=False)
        scored = pd.read_sql_query(to_sql(card, "applications", "sqlite"), connection)
    return float(np.abs(scored["probability"] - card.predict_probability(samples)[:, 1]).max())


def latency(model: ScoringModel, samples: Samples, *, num_rows: int) -> dict[str, float]:
    """Milliseconds for one row (median of 30, warm) and rows a second in one batch of `num_rows`."""
    one = samples.take([0])
    batch = samples.take(np.arange(num_rows) % len(samples))
    model.predict_probability(one)
    times = []
    for _ in range(30):
        started = time.perf_counter()
        model.predict_probability(one)
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    model.predict_probability(batch)
    seconds = time.perf_counter() - started
    return {"one_row_ms": round(1000 * float(np.median(times)), 2), "rows_per_second": round(num_rows / seconds)}
