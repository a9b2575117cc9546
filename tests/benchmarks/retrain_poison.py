"""Deliveries that would harm a model, played through the loop: what it does with each, and what serves afterwards.

    python tests/benchmarks/retrain_poison.py --output verticals/credit_risk/results/retrain_poison.json

A small lender with eight clean months. Each poison is one delivery, or four in a row where it says so, into a fresh
copy with `retrain.when: always`, so that nothing but the checks and gates stands between the poison and the champion.
The AUC is that of the serving model on six clean months that nothing else has seen.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from loop_lender import auc_on, champion_state, make_lender, month_rows, retrain, set_aside_names  # noqa: E402

from core.artifacts import write_json  # noqa: E402

Poison = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def turned(share: float) -> Poison:
    """Labels of a share of the rows turned."""

    def poison(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        is_turned = random.random(len(rows)) < share
        other = np.where(rows["outcome"] == "bad", "good", "bad")
        return rows.assign(outcome=np.where(is_turned, other, rows["outcome"]))

    return poison


POISONS: dict[str, tuple[Poison, int]] = {
    "clean (nothing wrong)": (lambda rows, _: rows, 1),
    "all labels turned": (turned(1.0), 1),
    "half of the labels turned, four months": (turned(0.5), 4),
    "30 % of the labels turned, four months": (turned(0.3), 4),
    "10 % of the labels turned, four months": (turned(0.1), 4),
    "all good": (lambda rows, _: rows.assign(outcome="good"), 1),
    "all bad": (lambda rows, _: rows.assign(outcome="bad"), 1),
    "every amount a thousandfold": (lambda rows, _: rows.assign(amount=rows["amount"] * 1000), 1),
    "a third of the rows are outliers": (
        lambda rows, random: rows.assign(amount=rows["amount"] * np.where(random.random(len(rows)) < 0.33, 50, 1)), 1,
    ),
    "a column without values": (lambda rows, _: rows.assign(income=""), 1),
    "a code that nobody knows": (lambda rows, _: rows.assign(housing="castle"), 1),
    "the labels of other rows": (
        lambda rows, random: rows.assign(outcome=random.permutation(rows["outcome"].to_numpy())), 1,
    ),
    "the same delivery again": (lambda rows, _: month_rows(7), 1),
    "a file without its key": (lambda rows, _: rows.drop(columns="loan_id"), 1),
}  # fmt: skip


def play(first: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """One record a poison."""
    clean = pd.concat([month_rows(month) for month in range(40, 46)])
    before_auc = auc_on(first, clean, folder)
    for name, (poison, num_months) in POISONS.items():
        root = shutil.copytree(first, folder / f"case_{abs(hash(name))}")
        before, outcomes, reasons = champion_state(root), [], []
        random = np.random.default_rng(0)
        for month in range(8, 8 + num_months):
            path = folder / f"month_{month:03d}.csv"
            poison(month_rows(month), random).to_csv(path, index=False)
            outcome, reason = retrain(root, path)
            outcomes.append(outcome)
            reasons.append(reason)
        yield {
            "poison": name,
            "deliveries": num_months,
            "outcomes": outcomes,
            "reason": reasons[0],
            "set_aside": set_aside_names(root),
            "champion_untouched": champion_state(root) == before,
            "auc_before": before_auc,
            "auc_after": auc_on(root, clean, folder),
        }
        shutil.rmtree(root)


def main() -> None:
    """Play all and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "verticals/credit_risk/results/retrain_poison.json", help="JSON to write"
    )
    chosen, started = parser.parse_args(), time.perf_counter()
    records = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with redirect_stdout(StringIO()):
            first = make_lender(folder / "first", when="always")
        told = play(first, folder)
        while True:
            with redirect_stdout(StringIO()):
                record = next(told, None)
            if record is None:
                break
            records.append(record)
            print(f"{record['poison']}: {', '.join(record['outcomes'])}; AUC {record['auc_before']:.4f} -> "
                  f"{record['auc_after']:.4f}. {record['reason'][:150]}", flush=True)  # fmt: skip
    result = {
        "title": "Poisoned deliveries through the retraining loop",
        "command": "python tests/benchmarks/retrain_poison.py",
        "how": " ".join((__doc__ or "").split("A small lender", 1)[1].split()),
        "seconds": round(time.perf_counter() - started, 1),
        "records": records,
    }
    write_json(chosen.output, result)


if __name__ == "__main__":
    main()
