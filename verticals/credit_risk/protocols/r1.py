"""R1: LendingClub month by month through the retraining loop, 2011 and 2012, after a first model of 35 months."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from core.lifecycle.retrain.replay import Delivery, Replay, play
from core.lifecycle.retrain.replay_result import draw, summarise
from verticals.credit_risk.protocols.c2 import LINEAR
from verticals.credit_risk.protocols.opening import FOLDER, IMPORT_LENDINGCLUB, write_result

DOMAIN, SOURCE = "lendingclub_text", "lendingclub_text"
# Months before it are there when the first champion is trained. With only those before July 2010 the release gate
# refused the first model, which was not surely better than chance on the last six of them.
START = "2011-01"
IMPORT = {
    "label": "bad",
    "positive": ("1",),
    "key": "id",
    "time": "issue_date",
    "text": ("description", "employ_title"),
    "after_outcome": ("loan_status", "recoveries", "total_rec_int", "total_rec_late_fee", "total_rec_prncp"),
}
SECTION: dict[str, Any] = {
    "prepare": {
        "target_domain": DOMAIN,
        "source_domains": [],
        "split": {"method": "batches", "test_batches": 6, "valid_fraction": 0.2, "regression_fraction": 0.1},
    },
    "train": {
        "transfer": "target_only",
        "learner": "logistic_regression",  # C2's best; the monitor reads the texts all the same
        "learner_options": {"logistic_regression": LINEAR},
        "trackers": [],
    },
    "evaluate": {"num_bootstrap": 200, "confidence": 0.95, "slices": []},
    "compare": {"methods": ["target_only"], "budgets": ["all"], "num_draws": 1, "num_bootstrap": 200},
    "export": {"num_latency_rows": 100},
    "report": {},
    "retrain": {"monitor": {"num_bootstrap": 200}, "waived": ["calibration"]},
    "options": {},
}
CAREFUL = (
    "Labels come with their month, although a loan's outcome is known only years later: the loans of the file are "
    "resolved. A month that the monitor sets aside is looked at and taken back, and what a gate holds for a person is "
    "not promoted. The calibration gate of the release is waived: on few months' rows its error is mostly noise, and "
    "the Brier score of champion and challenger is judged in its place."
)


def run(root: Path, *, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Play the months; write results/r1.json and r1.png.

    Raises:
        MissingArtifactError: the domain is not imported; the repair names the command.
    """
    table = read_rows(root)
    folder = Path(root) / ".crossdomain" / "replays" / "r1"
    first, deliveries = write_deliveries(table, folder.with_name("r1_files"))
    plan = Replay(folder, FOLDER, DOMAIN, SECTION, first, deliveries, IMPORT)
    scores, months = play(plan, Path(root), report=report)
    result = {
        "title": "LendingClub month by month: the loop against never and always retraining",
        "section": SECTION,
        "careful": CAREFUL,
        **summarise(scores, months, cost_false_negative=5.0, cost_false_positive=1.0),
    }
    path = write_result(Path(root), "r1", result)
    draw(result, "LendingClub by month, after a first model of February 2008 to December 2010").savefig(
        path.with_suffix(".png"), dpi=130
    )
    return result


def read_rows(root: Path) -> pd.DataFrame:
    """The texts of all rows as they were imported."""
    from core.errors import MissingArtifactError

    rows = sorted((Path(root) / "data" / FOLDER / SOURCE / "rows").glob("*.parquet"))
    if not rows:
        raise MissingArtifactError(f"The protocol needs the domain '{SOURCE}'.", repair=IMPORT_LENDINGCLUB)
    return pd.concat([pd.read_parquet(path) for path in rows], ignore_index=True)


def write_deliveries(table: pd.DataFrame, folder: Path) -> tuple[list[Delivery], list[Delivery]]:
    """A file a month, those before the first champion apart; the same files every time."""
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for name, part in table.groupby(table["issue_date"].astype(str).str[:7], sort=True):
        path = folder / f"{name}.csv"
        if not path.exists():
            part.to_csv(path, index=False)
        truth = pd.Series((part["bad"].astype(str) == "1").to_numpy(dtype=float), index=DOMAIN + "/" + part["id"])
        told.append(Delivery(str(name), path, truth))
    return [one for one in told if one.name < START], [one for one in told if one.name >= START]
