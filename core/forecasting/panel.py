"""What prepare writes and the later stages read: the target's days, the sources' days before the test period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, read_json
from core.forecasting.series import Series

PANEL_FILE = "panel.parquet"
REPORT_FILE = "data_report.json"


@dataclass(frozen=True)
class Panel:
    """The target with all its days, the sources cut before `first_test_day`; variances are of whole days."""

    target: Series
    sources: tuple[Series, ...]
    first_test_day: np.datetime64

    def table(self) -> pd.DataFrame:
        """A row a day and market: domain, role, date, split, return_percent, day_variance, has_range."""
        parts = []
        for series, role in [(self.target, "target"), *((source, "source") for source in self.sources)]:
            is_test = series.dates >= self.first_test_day
            columns = {
                "domain": series.name,
                "role": role,
                "date": series.dates.astype("datetime64[s]"),
                "split": np.where(is_test, "test", "train"),
                "return_percent": series.returns,
                "day_variance": series.day_variance,
                "has_range": series.has_range,
            }
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)


def read_panel(artifacts: Artifacts) -> Panel:
    """What the stage prepare wrote.

    Raises:
        MissingArtifactError: it has not run.
    """
    table = pd.read_parquet(artifacts.require("prepare", PANEL_FILE))
    report = read_json(artifacts.require("prepare", REPORT_FILE))
    series = {name: _series_of(str(name), rows) for name, rows in table.groupby("domain", sort=False)}
    sources: Sequence[str] = report["source_domains"]
    return Panel(
        target=series[report["target_domain"]],
        sources=tuple(series[name] for name in sources if name in series),
        first_test_day=np.datetime64(report["first_test_day"], "D"),
    )


def _series_of(name: str, rows: pd.DataFrame) -> Series:
    return Series(
        name=name,
        dates=rows["date"].to_numpy().astype("datetime64[D]"),
        returns=rows["return_percent"].to_numpy(),
        day_variance=rows["day_variance"].to_numpy(),
        has_range=bool(rows["has_range"].iloc[0]),
    )
