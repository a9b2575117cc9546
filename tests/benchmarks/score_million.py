"""How fast `predict` is: a million loans with reasons, memory at two sizes, one record, and the per-row path (S3).

    python tests/benchmarks/score_million.py

Rows are drawn with replacement from the domain's own; nothing in the scoring path profits from their repetition.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.artifacts import write_json
from core.data.domain_folder import FIRST_BATCH
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.learners import LEARNERS
from core.learners.scoring_model import ScoringModel
from core.params import PrepareParams, VerticalParams, load_params
from core.stages.train import calibrate
from core.threads import num_threads
from core.vertical import load_vertical
from verticals.credit_risk.predict import predict_file, predict_record
from verticals.credit_risk.scoring import CreditScorer

PARAMS = Path("params.yaml")
VALID_FRACTION = 0.3
ROWS_PER_WRITE = 100_000


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large file (1,000,000)")
    parser.add_argument("--fewer-rows", type=int, default=100_000, help="rows of the small file (100,000)")
    parser.add_argument("--domain", type=Path, default=Path("data/credit_risk/german_credit"))
    parser.add_argument("--model", type=Path, help="a saved model of the domain; default: fit one for the run")
    parser.add_argument("--learner", default="blend", help="what to fit without --model, as params.yaml has it")
    parser.add_argument("--num-records", type=int, default=200, help="rows scored one at a time (200)")
    parser.add_argument("--rows-per-chunk", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("verticals/credit_risk/results/scoring_speed.json"))
    parser.add_argument("--measure", nargs=3, metavar=("INPUT", "OUTPUT", "MODEL"), help=argparse.SUPPRESS)
    return parser.parse_args()


def fit_model(folder: Path, learner: str, seed: int) -> ScoringModel:
    """A calibrated scoring model of the domain, fitted on 70 % of its rows."""
    vertical = load_vertical("credit_risk")
    rows = read_table_domain(folder)
    name = rows.spec.name
    is_valid = np.random.default_rng(seed).random(len(rows.manifest)) < VALID_FRACTION
    manifest = rows.manifest.assign(split=np.where(is_valid, "valid", "train"))
    samples = open_table_dataset(manifest, {name: rows.columns}, {name: rows.spec}, name)
    train = samples.take(~is_valid)
    params = VerticalParams(prepare=PrepareParams(target_domain=name))
    options = load_params(PARAMS, "credit_risk").train.learner_options.get(learner, {})
    fitted = LEARNERS[learner](options, seed=seed).fit(train)
    model = calibrate(fitted, samples.take(is_valid).labelled(), vertical, params, seed=seed)
    return model.with_context(
        spec=rows.spec, train=train, options={}, provenance={"learner": learner, "rows": len(train)}
    )


def model_and_rows(chosen: argparse.Namespace, folder: Path) -> tuple[Path, pd.DataFrame, str]:
    """Model folder, raw rows to draw from, and what they are."""
    if not (chosen.domain / "domain.yaml").exists():
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from small_credit_model import make_raw_rows, save_small_model

        save_small_model(folder / "model", learner=chosen.learner)
        return folder / "model", make_raw_rows(1000), "SYNTHETIC rows (the domain was not fetched)"
    model_folder = chosen.model or folder / "model"
    if chosen.model is None:
        fit_model(chosen.domain, chosen.learner, chosen.seed).save(model_folder)
    raw = pd.read_parquet(chosen.domain / "rows" / f"{FIRST_BATCH}.parquet")
    return model_folder, raw, f"{chosen.domain.name}, drawn with replacement"


def write_drawn_rows(raw: pd.DataFrame, path: Path, num_rows: int, seed: int) -> None:
    """A CSV of `num_rows` rows drawn with replacement."""
    rng = np.random.default_rng(seed)
    for start in range(0, num_rows, ROWS_PER_WRITE):
        drawn = raw.iloc[rng.integers(0, len(raw), min(ROWS_PER_WRITE, num_rows - start))]
        drawn.to_csv(path, mode="w" if start == 0 else "a", header=start == 0, index=False)


def measure(input_path: str, output: str, model: str, rows_per_chunk: int) -> None:
    """In a process of its own, so that the peak memory is this run's: print the figures as JSON."""
    summary = predict_file(Path(input_path), Path(output), Path(model), rows_per_chunk=rows_per_chunk)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": summary.rows, "seconds": summary.seconds, "peak_memory_mb": peak_mb}))


def measure_file(model: Path, raw: pd.DataFrame, num_rows: int, folder: Path, chosen: argparse.Namespace) -> dict:
    """Seconds, rows a second and peak memory of one file."""
    input_path = folder / f"rows_{num_rows}.csv"
    write_drawn_rows(raw, input_path, num_rows, chosen.seed)
    command = [sys.executable, __file__, "--rows-per-chunk", str(chosen.rows_per_chunk), "--measure"]
    command += [str(input_path), str(folder / "scores.csv"), str(model)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(told.splitlines()[-1])
    figures["rows_per_second"] = figures["rows"] / figures["seconds"]
    print(
        f"{num_rows:>9,} rows: {figures['seconds']:.1f} s, {figures['rows_per_second']:,.0f} rows/s, "
        f"peak {figures['peak_memory_mb']:.0f} MB",
        flush=True,
    )
    return figures


def measure_records(model: Path, raw: pd.DataFrame, num_records: int, seed: int) -> dict:
    """Latency of one record in a warm process, reasons included."""
    drawn = raw.sample(num_records + 10, replace=True, random_state=seed)
    records = drawn.astype(object).where(drawn.notna(), None).to_dict("records")
    scorer = CreditScorer(ScoringModel.load(model))
    seconds = []
    for record in records:
        started = time.perf_counter()
        predict_record(scorer, record)
        seconds.append(time.perf_counter() - started)
    milliseconds = 1000 * np.array(seconds[10:])  # the first ten warm it up
    figures = {
        "records": num_records,
        "p50_ms": float(np.percentile(milliseconds, 50)),
        "p95_ms": float(np.percentile(milliseconds, 95)),
        "mean_ms": float(milliseconds.mean()),
    }
    print(f"one record: p50 {figures['p50_ms']:.1f} ms, p95 {figures['p95_ms']:.1f} ms", flush=True)
    return figures


def main() -> None:
    """Run all of it and write the figures."""
    chosen = parse_arguments()
    if chosen.measure:
        measure(*chosen.measure, chosen.rows_per_chunk)
        return
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # others' work makes figures worse
    with tempfile.TemporaryDirectory() as name:
        model, raw, told = model_and_rows(chosen, Path(name))
        learner = type(ScoringModel.load(model).learner)
        record = measure_records(model, raw, chosen.num_records, chosen.seed)
        fewer = measure_file(model, raw, chosen.fewer_rows, Path(name), chosen)
        many = measure_file(model, raw, chosen.rows, Path(name), chosen)
    per_row_seconds = record["mean_ms"] / 1000 * many["rows"]
    ratio = per_row_seconds / many["seconds"]
    print(f"row by row it would take {per_row_seconds / 60:.0f} minutes: {ratio:.1f} times as long")
    write_json(
        chosen.output,
        {
            "command": "python " + " ".join(["tests/benchmarks/score_million.py", *sys.argv[1:]]),
            "data": told,
            "learner": LEARNERS.name_of(learner),
            "reasons": True,
            "processors": os.cpu_count(),
            "load_before": load_before,
            "threads": num_threads(),
            "rows_per_chunk": chosen.rows_per_chunk,
            "files": [fewer, many],
            "peak_memory_ratio": many["peak_memory_mb"] / fewer["peak_memory_mb"],
            "record": record,
            "row_by_row_seconds_extrapolated": per_row_seconds,
            "times_faster_than_row_by_row": ratio,
        },
    )
    print(f"written: {chosen.output}")


if __name__ == "__main__":
    main()
