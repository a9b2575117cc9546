import importlib.metadata
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.domain import read_domain_spec
from core.data.domain_folder import batch_path, read_batches
from core.data.fetching import MIRROR_VARIABLE, locate_package_file
from core.data.packaged_domains import read_packaged_table
from core.errors import BadInputError, BadParamsError, MissingArtifactError, VerificationError
from core.prices.market import market_frame
from core.prices.synthetic import synthetic_market, write_synthetic_market
from verticals.market_risk.dataset import read_market
from verticals.market_risk.domains import (
    DEMO_DOMAINS,
    FILLED,
    HERE,
    PACKAGED_MARKETS,
    fetch,
    read_demo_spec,
    read_packaged_rows,
)
from verticals.market_risk.domains.dates import weekdays_from

# name -> (returns, first day, last day, has a range, set aside on fetching)
MARKETS = {
    "sp500": (5030, "1999-01-05", "2018-12-31", True, 0),
    "nasdaq": (5030, "1999-01-05", "2018-12-31", True, 0),
    "wti": (8320, "1986-01-03", "2019-01-03", False, 0),
    "dow_jones": (37_928, "1885-02-17", "2023-11-21", False, 0),
    "nyse": (4002, "1990-01-03", "2005-11-11", False, 0),
    "ibm": (2528, "1989-01-03", "1998-12-31", False, 0),
    "dax": (1786, "1991-07-02", "1998-08-14", False, 73),
    "ftse": (1795, "1991-07-02", "1998-08-14", False, 64),
    "gold": (8811, "1978-01-09", "2012-12-31", False, 320),
    "silver": (8826, "1978-01-03", "2012-12-31", False, 305),
    "dollar_mark": (1866, "1980-01-03", "1987-05-21", False, 0),
    "dollar_yen": (1866, "1980-01-03", "1987-05-21", False, 0),
}


def packaged_rows(name):
    try:
        return read_packaged_rows(name)
    except MissingArtifactError as error:
        pytest.skip(f"demo data not installed: {error.message}")


def fetched(name, tmp_path):
    packaged_rows(name)
    fetch([name], tmp_path, report=lambda line: None)
    return tmp_path / "market_risk" / name


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_demo_spec_is_complete(name):
    spec = read_demo_spec(name)
    assert spec.name == name and spec.vertical == "market_risk" and not spec.is_synthetic
    assert all((spec.title, spec.description, spec.source, spec.licence, spec.citation, spec.caveats))
    assert len(spec.sha256) == 64 and spec.label_column is None
    assert [column.name for column in spec.columns if not (column.meaning and column.unit)] == []
    assert len(spec.with_use("time")) == 1
    card = (HERE / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {spec.title}\n") and "| Licence |" in card


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_real_market_reads_as_its_card_says(name, tmp_path):
    folder = fetched(name, tmp_path)
    series, problems, spec = read_market(folder)
    num_returns, first, last, has_range, num_aside = MARKETS[name]
    assert (len(series), str(series.dates[0]), str(series.dates[-1])) == (num_returns, first, last)
    assert (series.name, series.has_range, spec) == (name, has_range, read_demo_spec(name))
    assert 0.3 < series.returns.std() < 3
    assert list(problems.columns) == ["batch", "row", "column", "value", "reason", "count"]
    assert read_batches(folder)[0]["quarantined"] == num_aside
    card = (HERE / f"{name}.md").read_text(encoding="utf-8")
    assert f"standard deviation {series.returns.std():.2f} % a day" in card
    num_rows = len(pd.read_parquet(batch_path(folder, "initial"))) - (290 if name == "wti" else 0)
    assert f"| What | {num_rows:,} " in card


def test_days_without_a_price_and_across_gaps_are_told_with_batch_and_row(tmp_path):
    _, problems, _ = read_market(fetched("wti", tmp_path))
    assert len(problems) == 290 and set(problems["batch"]) == {"initial"}
    rows = pd.read_parquet(batch_path(tmp_path / "market_risk" / "wti", "initial"))
    assert set(rows["DCOILWTICO"].iloc[problems["row"]]) == {"."}
    _, problems, _ = read_market(fetched("dow_jones", tmp_path))
    assert problems["value"].tolist() == ["1914-12-12", "1933-03-15"]


def test_reconstructed_dates_of_the_european_indices_fall_on_real_holidays(tmp_path):
    packaged_rows("dax")
    repeats = {}
    for name in ("dax", "ftse"):
        market = PACKAGED_MARKETS[name]
        days = market.with_dates(pd.DataFrame({"x": np.zeros(1860)}))["date"].to_numpy(dtype="datetime64[D]")
        rows = packaged_rows(name)
        assert set(rows.quarantined["reason"]) == {FILLED}
        repeats[name] = set(days[rows.quarantined["row"].to_numpy() - 1].astype(str))
        assert repeats[name].isdisjoint(rows.frame["date"])
    good_fridays = ["1992-04-17", "1993-04-09", "1994-04-01", "1995-04-14", "1996-04-05", "1997-03-28", "1998-04-10"]
    easter_mondays = [str(np.datetime64(day) + 3) for day in good_fridays]
    both = [*good_fridays, *easter_mondays, "1991-12-25", "1992-01-01", "1995-12-25", "1996-01-01", "1998-01-01"]
    assert set(both) <= repeats["dax"] & repeats["ftse"]
    summer_bank_holidays = ["1991-08-26", "1992-08-31", "1993-08-30", "1994-08-29", "1995-08-28", "1996-08-26"]
    assert {*summer_bank_holidays, "1997-08-25", "1992-05-04", "1998-05-25"} <= repeats["ftse"] - repeats["dax"]
    day_of_unity = ["1991-10-03", "1994-10-03", "1995-10-03", "1996-10-03", "1997-10-03"]
    assert set(day_of_unity) <= repeats["dax"] - repeats["ftse"]
    series, _, _ = read_market(fetched("dax", tmp_path))
    assert str(series.dates[series.returns.argmin()]) == "1991-08-19"  # the coup in Moscow


def test_weekdays_begin_at_the_day_told_and_leave_weekends_out():
    days = weekdays_from("1991-07-04")(pd.DataFrame({"x": range(4)}))["date"].tolist()
    assert days == ["1991-07-04", "1991-07-05", "1991-07-08", "1991-07-09"]


def test_weekday_column_of_the_dollar_rates_fits_the_dates(tmp_path):
    packaged_rows("dollar_mark")
    market = PACKAGED_MARKETS["dollar_mark"]
    frame = read_packaged_table(market, read_demo_spec("dollar_mark").sha256)
    days = pd.to_datetime(frame["date"], format="%y%m%d")
    assert (days.dt.day_name().str.lower() == frame["day"]).all()


def test_simple_returns_of_ibm_become_log_returns(tmp_path):
    series, _, _ = read_market(fetched("ibm", tmp_path))
    rows = pd.read_parquet(batch_path(tmp_path / "market_risk" / "ibm", "initial"))
    expected = [100 * np.log(1 + float(text)) for text in rows["ibm"]]
    np.testing.assert_allclose(series.returns, expected, rtol=1e-12)


def test_fetch_writes_the_layout_and_keeps_a_reviewed_domain(tmp_path):
    packaged_rows("nasdaq")
    lines = []
    for _ in range(2):
        fetch(["nasdaq"], tmp_path, report=lines.append)
    folder = tmp_path / "market_risk" / "nasdaq"
    assert lines == ["nasdaq: 5,031 rows from arch", "nasdaq: already there"]
    assert read_domain_spec(folder) == read_demo_spec("nasdaq")
    pd.testing.assert_frame_equal(pd.read_parquet(batch_path(folder, "initial")), packaged_rows("nasdaq").frame)
    assert (folder / "quarantine" / "initial.csv").read_text().strip() == "row,column,value,reason"


def test_fetch_refuses_unknown_names_and_foreign_folders(tmp_path):
    with pytest.raises(BadParamsError, match="sp500"):
        fetch(["nasdaq", "sp_500"], tmp_path)
    assert not list(tmp_path.iterdir())
    write_synthetic_market(tmp_path, "nasdaq", num_days=10, vertical="market_risk")
    with pytest.raises(BadInputError, match="another domain"):
        fetch(["nasdaq"], tmp_path)


def test_file_of_a_mirror_is_used_and_held_against_its_checksum(tmp_path, monkeypatch):
    packaged_rows("nasdaq")
    market, sha256 = PACKAGED_MARKETS["nasdaq"], read_demo_spec("nasdaq").sha256
    source = locate_package_file(market.distribution, market.relative_path, sha256)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shutil.copy(source, mirror / "nasdaq.csv.gz")
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    monkeypatch.setattr("core.data.fetching.importlib.metadata.distribution", _no_distribution)
    fetch(["nasdaq"], tmp_path / "data", report=lambda line: None)
    assert len(read_market(tmp_path / "data" / "market_risk" / "nasdaq")[0]) == 5030
    (mirror / "nasdaq.csv.gz").write_bytes(b"something else")
    with pytest.raises(VerificationError):
        fetch(["nasdaq"], tmp_path / "other", report=lambda line: None)


def test_market_that_is_not_installed_says_which_extra_brings_it(tmp_path, monkeypatch):
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr("core.data.fetching.importlib.metadata.distribution", _no_distribution)
    with pytest.raises(MissingArtifactError, match=r"crossdomain\[demo,market\]"):
        fetch(["wti"], tmp_path)


def _no_distribution(name):
    raise importlib.metadata.PackageNotFoundError(name)


def test_synthetic_market_is_the_same_for_a_seed_and_says_that_it_is_made_up(tmp_path):
    one, same, other = synthetic_market(50, seed=1), synthetic_market(50, seed=1), synthetic_market(50, seed=2)
    pd.testing.assert_frame_equal(one.prices, same.prices)
    assert not one.prices["close"].equals(other.prices["close"])
    folder = write_synthetic_market(tmp_path, num_days=600, vertical="market_risk")
    series, problems, spec = read_market(folder)
    assert spec.is_synthetic and "SYNTHETIC" in spec.title
    assert (len(series), len(problems), series.has_range) == (599, 0, True)


def test_synthetic_market_has_the_variance_that_it_tells_and_two_regimes():
    market = synthetic_market(6000, seed=4)
    frame = market.prices
    returns = 100 * np.diff(np.log(frame["close"].to_numpy()))
    standardised = returns / np.sqrt(market.variance[1:])
    assert abs(standardised.std() - 1) < 0.04 and abs(standardised.mean()) < 0.05
    squares = standardised**2
    assert abs(np.corrcoef(squares[1:], squares[:-1])[0, 1]) < 0.04  # what is left has no memory
    assert np.corrcoef(returns[1:] ** 2, returns[:-1] ** 2)[0, 1] > 0.1
    assert np.quantile(market.variance, 0.95) > 4 * np.quantile(market.variance, 0.25)
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()


def test_domain_whose_columns_have_no_role_is_refused(tmp_path):
    folder = write_synthetic_market(tmp_path, num_days=20, vertical="market_risk")
    text = (folder / "domain.yaml").read_text()
    (folder / "domain.yaml").write_text(text.replace("concept: close", "concept: ''"))
    with pytest.raises(BadInputError, match="concept"):
        read_market(folder)


def test_return_without_its_unit_is_refused():
    spec = read_demo_spec("ibm")
    unclear = replace(spec, columns=tuple(replace(c, unit="share") for c in spec.columns))
    with pytest.raises(BadInputError, match="unit: percent"):
        market_frame(pd.DataFrame({"date": pd.to_datetime(["1990-01-02"]), "ibm": [0.01]}), unclear)


def test_every_yaml_belongs_to_a_demo_market():
    assert {path.stem for path in Path(HERE).glob("*.yaml")} == set(DEMO_DOMAINS) == set(MARKETS)
    assert {path.stem for path in Path(HERE).glob("*.md")} == set(DEMO_DOMAINS)
