"""A made-up market: GARCH whose level switches between calm and storm, drawn step by step within each session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.demo_domains import DemoRows, whole_file
from core.data.domain import DomainSpec
from core.data.domain_folder import create_domain_folder
from core.data.raw_table import problem_frame
from core.data.reading_records import frame_as_texts
from core.prices.columns import column_specs

CALM, STORM = 0.6, 4.0  # long-run daily variances in percent^2
LEAVES_CALM, LEAVES_STORM = 1 / 250, 1 / 60  # probability a day
SHOCK_WEIGHT, MEMORY = 0.08, 0.88  # GARCH(1,1) alpha and beta
OVERNIGHT_SHARE = 0.2  # of a day's variance
STEPS_PER_SESSION = 78


@dataclass(frozen=True)
class SyntheticMarket:
    """prices: N rows of date, open, high, low, close. variance: (N,) the true variance of each day in percent^2."""

    prices: pd.DataFrame
    variance: np.ndarray


def synthetic_market(num_days: int = 1500, *, seed: int = 0, first_day: str = "2000-01-03") -> SyntheticMarket:
    """Weekdays of a market whose daily log return has the variance h_t, a fifth of it overnight, and no mean.

    h_t = (1 - 0.08 - 0.88) v_t + 0.08 r_{t-1}^2 + 0.88 h_{t-1}, v_t 0.6 in calm and 4 in storm (a Markov chain). It is
    made up: good for tests, not for a result.

    Source: Hamilton and Susmel (1994), Autoregressive conditional heteroskedasticity and changes in regime, Journal of
    Econometrics 64, for the idea; the numbers are of the size of stock indices.
    """
    random = np.random.default_rng(seed)
    is_storm, variance, before = False, CALM, 0.0
    level = np.log(100.0)
    rows, variances = [], []
    for _ in range(num_days):
        is_storm ^= bool(random.random() < (LEAVES_STORM if is_storm else LEAVES_CALM))
        long_run = STORM if is_storm else CALM
        variance = (1 - SHOCK_WEIGHT - MEMORY) * long_run + SHOCK_WEIGHT * before**2 + MEMORY * variance
        spread = np.sqrt(variance) / 100.0
        open_ = level + spread * np.sqrt(OVERNIGHT_SHARE) * random.standard_normal()
        steps = random.standard_normal(STEPS_PER_SESSION) * spread * np.sqrt((1 - OVERNIGHT_SHARE) / STEPS_PER_SESSION)
        path = open_ + np.concatenate([[0.0], np.cumsum(steps)])
        rows.append((open_, path.max(), path.min(), path[-1]))
        before, level = 100.0 * (path[-1] - level), path[-1]
        variances.append(variance)
    prices = pd.DataFrame(np.exp(np.array(rows).reshape(-1, 4)), columns=["open", "high", "low", "close"])
    prices.insert(0, "date", pd.bdate_range(first_day, periods=num_days))
    return SyntheticMarket(prices, np.array(variances))


def write_synthetic_market(
    data_folder: Path, name: str = "synthetic_market", *, vertical: str, num_days: int = 1500, seed: int = 0
) -> Path:
    """Write a made-up market as a domain that says SYNTHETIC; its folder.

    Raises:
        BadInputError: the folder holds anything already.
    """
    texts = frame_as_texts(synthetic_market(num_days, seed=seed).prices)
    spec = DomainSpec(
        name=name,
        vertical=vertical,
        columns=column_specs(texts, {role: role for role in texts.columns}, date_format="", returns="", unit=""),
        title="SYNTHETIC market",
        description="Made up by a GARCH process whose level switches between calm and storm; no market was like this.",
        source=f"core.prices.synthetic, seed {seed}",
        is_synthetic=True,
        caveats=("SYNTHETIC: a model that fits this market has learned the generator.",),
    )
    folder = Path(data_folder) / vertical / name
    entry = {"name": "initial", "file": "", "sha256": "", "rows": len(texts), "quarantined": 0}
    create_domain_folder(folder, spec, texts, problem_frame([]), entry)
    return folder


def draw_prices(num_days: int, seed: int) -> DemoRows:
    """A made-up market as the rows of a demo domain: texts of date, open, high, low and close."""
    return whole_file(frame_as_texts(synthetic_market(num_days, seed=seed).prices))
