"""Import a market's own table: prices or returns by day. Nothing is filled and nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from core.data.domain import read_domain_spec
from core.data.domain_folder import add_batch, check_name, create_domain_folder, sha256_of
from core.data.held_batches import has_batch
from core.data.importing import ImportReport
from core.data.reading import read_raw_table
from core.data.vertical_domain import read_vertical_domain
from core.errors import BadInputError
from core.forecasting.series import RANGE_WRONG, series_from_prices
from core.prices.checks import check_jumps, check_moves, check_unit, quality_notes
from core.prices.delivery import (
    Delivery,
    Reasons,
    find_known_days,
    find_repeated_days,
    find_unusable_rows,
)
from core.prices.market import market_frame
from core.prices.reading import MarketOptions, columns_by_role, read_delivery

NO_SUCH_THING = ("label", "positive", "group", "key", "text", "protected", "after_outcome", "drop", "finding")
MIN_ROWS_FOR_UNIT = 20


def import_market(
    path: Path,
    data_folder: Path,
    domain: str,
    *,
    vertical: str,
    date: str | None = None,
    open: str | None = None,
    high: str | None = None,
    low: str | None = None,
    close: str | None = None,
    adj_close: str | None = None,
    return_column: str | None = None,
    returns: Literal["simple", "log"] | None = None,
    unit: Literal["percent", "fraction"] | None = None,
    zone: str | None = None,
    keep_jumps: bool = False,
    batch: str = "initial",
    time: str | None = None,
    **declared: Any,
) -> ImportReport:
    """Write `data_folder/<vertical>/domain/` from a table of days; a known domain gets a further batch.

    Columns are found by well-known names or told: `date` (or `time`), `open`, `high`, `low`, `close`, `adj_close`
    (preferred to close; it scales the others), `return_column` with `returns` and `unit`. `zone`: whose calendar day a
    date with a time and an offset means. `keep_jumps`: take returns that look like splits as they are.
    Dates are written as days, all else as it came. A day that an earlier batch has with equal values is set aside.

    Raises:
        BadInputError: a column or an option is wrong, the batch is there already, days contradict each other, the data
            are intraday, too short, constant, in another unit, or hold splits.
        MissingArtifactError: there is no such file.
    """
    path, folder = Path(path), Path(data_folder) / vertical / domain
    _check_names(folder, domain, batch, declared)
    told = {"date": date or time, "open": open, "high": high, "low": low, "close": close, "adj_close": adj_close}
    told["return"] = return_column
    columns = {role: column for role, column in told.items() if column}
    options = MarketOptions(columns, returns, unit, zone, keep_jumps)
    raw = read_raw_table(path)
    known = read_domain_spec(folder) if (folder / "domain.yaml").exists() else None
    delivery, notes = read_delivery(raw, known, domain, options, vertical=vertical)
    reasons, earlier, row_notes = _left_out(delivery, folder if known is not None else None, vertical)
    kept = np.setdiff1d(np.arange(len(raw.frame)), list(reasons))
    if not len(kept):
        raise BadInputError(
            f"No row is left of {len(raw.frame):,} ({next(iter(reasons.values()))[1]}).",
            repair="Check that this is the new file.",
        )
    market_notes, wrong_ranges = _check_market(delivery, kept, earlier, options)
    notes = [*raw.notes, *notes, *row_notes, *market_notes]
    if len(raw.problems):
        notes.append(f"{len(raw.problems):,} rows cannot be read and were quarantined.")
    quarantined = delivery.quarantine(reasons | wrong_ranges)
    frame = delivery.frame.iloc[kept].reset_index(drop=True)
    entry = {"name": batch, "file": path.name, "sha256": sha256_of(path), "rows": len(frame)}
    entry |= {"quarantined": len(quarantined)}
    if known is None:
        spec = replace(delivery.spec, sha256=entry["sha256"], source=path.name, caveats=tuple(market_notes))
        create_domain_folder(folder, spec, frame, quarantined, entry)
    else:
        add_batch(folder, frame, quarantined, entry)
    return ImportReport(len(frame), len(quarantined), tuple(dict.fromkeys(notes)), folder)


def _check_names(folder: Path, domain: str, batch: str, declared: dict[str, Any]) -> None:
    """Names that can be files, a batch that is new, and no option that means nothing for a market."""
    unknown = sorted(set(declared) - set(NO_SUCH_THING))
    if unknown:
        raise TypeError(f"import_market has no keyword {', '.join(unknown)}")
    given = [f"--{name.replace('_', '-')}" for name in NO_SUCH_THING if declared.get(name)]
    if given:
        raise BadInputError(
            f"A market has no {', '.join(given)}: its future variance is what is forecast.", repair="Leave it out."
        )
    for name, what in ((domain, "domain"), (batch, "batch")):
        check_name(name, what)
    if has_batch(folder, batch):
        raise BadInputError(
            f"'{domain}' has a batch '{batch}' already; it is not overwritten.",
            repair="Name the new one with --batch NAME, or choose another domain name.",
        )


def _left_out(delivery: Delivery, folder: Path | None, vertical: str) -> tuple[Reasons, pd.DataFrame, list[str]]:
    """(rows to set aside, all earlier days by role, notes); `folder` is the known domain's, None for a new one."""
    reasons, notes = find_unusable_rows(delivery)
    repeated, repeated_notes = find_repeated_days(delivery, reasons)
    reasons |= repeated
    notes += repeated_notes
    if folder is None:
        return reasons, delivery.market.iloc[:0], notes
    rows = read_vertical_domain(folder, vertical)
    earlier = market_frame(rows.columns, rows.spec)
    known, known_notes = find_known_days(delivery, reasons, earlier, rows.manifest["batch"].to_numpy(dtype=object))
    if "adj_close" in earlier and not known:
        known_notes = [
            "No day stands in an earlier batch too: whether the adjusted closes are still on the earlier scale cannot "
            "be told. Deliver a few known days along."
        ]
    return reasons | known, earlier, notes + known_notes


def _check_market(
    delivery: Delivery, kept: np.ndarray, earlier: pd.DataFrame, options: MarketOptions
) -> tuple[list[str], Reasons]:
    """(notes on the new days, rows whose range is not used).

    Raises:
        BadInputError: the market with the new days is too short, constant, in another unit, or has splits.
    """
    new, spec = delivery.market.iloc[kept], delivery.spec
    series, problems = series_from_prices(pd.concat([earlier, new], ignore_index=True), spec.name)
    columns = columns_by_role(spec)
    check_moves(series)
    if "return" in columns:
        unit = spec.column(columns["return"]).unit
        check_unit(series.returns, unit)
        if len(new) >= MIN_ROWS_FOR_UNIT:
            check_unit(new["log_return"].to_numpy(), unit)
    days = new["date"].to_numpy(dtype="datetime64[D]")
    notes = check_jumps(series, days, keep_jumps=options.keep_jumps)
    problems = problems[problems["row"] >= len(earlier)].assign(row=lambda found: found["row"] - len(earlier))
    wrong = problems["row"][problems["reason"] == RANGE_WRONG]
    return notes + quality_notes(series, problems, days), {
        int(kept[row]): (columns["high"], RANGE_WRONG) for row in wrong
    }
