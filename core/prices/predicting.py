"""`crossdomain predict VERTICAL prices.csv -o outlook.csv`: the days ahead, from a market's prices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.artifacts import write_table
from core.data.reading import read_raw_table
from core.errors import BadInputError
from core.forecasting.forecaster import load_forecaster
from core.forecasting.outlook import outlook_table, read_tails
from core.forecasting.scaling import SCALE_DAYS
from core.forecasting.series import series_from_prices
from core.prices.delivery import find_repeated_days, find_unusable_rows
from core.prices.reading import MarketOptions, read_delivery


@dataclass(frozen=True)
class Outlook:
    """What was written, for a person."""

    path: Path
    num_days: int
    num_left_out: int
    newest: str

    def __str__(self) -> str:
        left_out = f" {self.num_left_out} rows could not be used." if self.num_left_out else ""
        return f"{self.num_days} days forecast into {self.path}.{left_out} Newest: {self.newest}"


def predict_prices(
    input_path: Path,
    output: Path,
    model_folder: Path,
    *,
    rows_per_chunk: int = 0,
    explain: bool = True,
    progress: Callable[[str], None] = print,
) -> Outlook:
    """Forecast at the end of every day that has a year behind it; a row a day and horizon, newest last.

    The file has the columns that an import would find. Its market should be the one that the model was fitted for:
    the variance of its session is brought to a whole day by that market's factor.

    Raises:
        BadInputError: the columns are not found, or fewer than a year of days is left.
    """
    raw = read_raw_table(Path(input_path))
    delivery, notes = read_delivery(raw, None, "prices", MarketOptions(), vertical="")
    reasons, unusable_notes = find_unusable_rows(delivery)
    repeated, repeated_notes = find_repeated_days(delivery, reasons)
    left_out = {**reasons, **repeated}
    kept = [row for row in range(len(raw.frame)) if row not in left_out]
    series, problems = series_from_prices(delivery.market.iloc[kept], "prices")
    for note in (*notes, *unusable_notes, *repeated_notes):
        progress(f"note: {note}")
    if len(series) <= SCALE_DAYS:
        raise BadInputError(
            f"{input_path} has {len(series)} usable days; a forecast needs more than {SCALE_DAYS}.",
            repair="Bring at least a year of days before the first forecast.",
        )
    tails = read_tails(model_folder)
    series = replace(series, day_variance=series.day_variance * tails["whole_day_factor"])
    table = outlook_table(load_forecaster(model_folder), series, tails, num_days=len(series) - SCALE_DAYS)
    write_table(Path(output), table)
    last = table.iloc[-len(tails["tails"])]
    level = f"{min(tails['levels']):g}"
    newest = (
        f"{last['date']:%Y-%m-%d}, next day: volatility {last['daily_volatility_percent']:.2f} %, "
        f"Value at Risk {float(level):.0%} {last[f'value_at_risk_{level}']:.2f} %"
    )
    return Outlook(Path(output), len(series) - SCALE_DAYS, len(left_out) + len(problems), newest)
