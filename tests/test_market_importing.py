import inspect
import math

import numpy as np
import pandas as pd
import pytest

from core.data.domain import read_domain_spec
from core.data.domain_folder import batch_path, read_batches, sha256_of
from core.data.fetching import locate_package_file
from core.errors import BadInputError, MissingArtifactError
from core.prices.checks import split_ratio
from core.prices.columns import decimal_mark
from core.prices.synthetic import synthetic_market
from verticals.market_risk.dataset import read_market
from verticals.market_risk.domains import read_demo_spec
from verticals.market_risk.importing import import_domain

NUM_DAYS = 640


def market(num_days=NUM_DAYS, first_day="2010-01-04"):
    """Rows of a sound market as texts: Date, Open, High, Low, Close."""
    frame = synthetic_market(num_days, seed=5, first_day=first_day).prices
    frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    for role in ("open", "high", "low", "close"):
        frame[role] = frame[role].map("{:.6f}".format)
    return frame.rename(columns=str.capitalize).astype(object)


def take_in(tmp_path, frame, *, name="prices.csv", separator=",", domain="ours", **options):
    path = tmp_path / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep=separator, index=False)
    return import_domain(path, tmp_path / "data", domain, **options)


def series_of(report):
    return read_market(report.folder)[0]


def quarantine_of(report, batch="initial"):
    return pd.read_csv(report.folder / "quarantine" / f"{batch}.csv", dtype=str, keep_default_na=False)


def with_value(frame, row, column, value):
    changed = frame.copy()
    changed.loc[row, column] = value
    return changed


def returns_table(scale=1.0, kind="log", num_days=NUM_DAYS):
    """Date and ret: `scale` times the log or simple return as a fraction."""
    frame = market(num_days)
    log_returns = np.diff(np.log(frame["Close"].astype(float)))
    values = log_returns if kind == "log" else np.expm1(log_returns)
    return pd.DataFrame({"Date": frame["Date"][1:], "ret": scale * values})


# ---- what is written


def test_import_writes_days_and_texts_and_a_domain_yaml_for_review(tmp_path):
    frame = market().assign(Ticker="ABC")
    report = take_in(tmp_path, frame)
    assert (report.num_rows, report.num_quarantined, report.num_unlabelled) == (NUM_DAYS, 0, 0)
    spec = read_domain_spec(report.folder)
    assert [(c.name, c.kind, c.use, c.concept) for c in spec.columns] == [
        ("Date", "date", "time", "date"),
        ("Open", "number", "feature", "open"),
        ("High", "number", "feature", "high"),
        ("Low", "number", "feature", "low"),
        ("Close", "number", "feature", "close"),
        ("Ticker", "category", "ignore", ""),
    ]
    assert (spec.name, spec.vertical, spec.source, spec.caveats) == ("ours", "market_risk", "prices.csv", ())
    assert spec.sha256 == sha256_of(tmp_path / "prices.csv")
    stored = pd.read_parquet(batch_path(report.folder, "initial"))
    assert stored.to_dict("list") == frame.to_dict("list")
    assert read_batches(report.folder) == [
        {"name": "initial", "file": "prices.csv", "sha256": spec.sha256, "rows": NUM_DAYS, "quarantined": 0}
    ]
    assert series_of(report).has_range and str(tmp_path) not in (report.folder / "domain.yaml").read_text()


def as_german(frame):
    frame = frame.rename(columns={"Date": "Datum", "Open": "Erster", "High": "Hoch", "Low": "Tief"})
    frame = frame.rename(columns={"Close": "Schlusskurs"})
    for column in frame.columns[1:]:
        frame[column] = frame[column].str.replace(".", ",")
    frame["Datum"] = pd.to_datetime(frame["Datum"]).dt.strftime("%d.%m.%Y")
    return frame


FORMS = {
    "reversed": (lambda frame: frame.iloc[::-1], {}),
    "shuffled": (lambda frame: frame.sample(frac=1, random_state=1), {}),
    "semicolons and commas": (as_german, {"separator": ";"}),
    "tabs": (lambda frame: frame, {"separator": "\t"}),
    "parquet of timestamps": (
        lambda frame: frame.assign(Date=pd.to_datetime(frame["Date"])).astype({"Open": float, "Close": float}),
        {"name": "prices.parquet"},
    ),
    "month first": (lambda frame: frame.assign(Date=pd.to_datetime(frame["Date"]).dt.strftime("%m/%d/%Y")), {}),
    "compact": (lambda frame: frame.assign(Date=frame["Date"].str.replace("-", "")), {}),
    "closing time": (lambda frame: frame.assign(Date=frame["Date"] + " 16:00:00"), {}),
    "month first with time": (
        lambda frame: frame.assign(Date=pd.to_datetime(frame["Date"]).dt.strftime("%m/%d/%Y 4:00 PM")),
        {},
    ),
    "offset as written": (lambda frame: frame.assign(Date=frame["Date"] + "T00:30:00+09:00"), {}),
    "midnight in UTC": (lambda frame: frame.assign(Date=frame["Date"] + "T00:00:00Z"), {}),
    "UTC with a zone": (
        lambda frame: frame.assign(
            Date=(pd.to_datetime(frame["Date"]).dt.tz_localize("Asia/Tokyo").dt.tz_convert("UTC")).map(str)
        ),
        {"zone": "Asia/Tokyo"},
    ),
    "numbered names": (
        lambda frame: frame.rename(columns={n: f"{k}. {n.lower()}" for k, n in enumerate(frame.columns[1:], start=1)}),
        {},
    ),
    "told names": (
        lambda frame: frame.set_axis(["d", "a", "b", "c", "e"], axis=1),
        {"date": "d", "open": "a", "high": "b", "low": "c", "close": "e"},
    ),
    "told by --time": (lambda frame: frame.rename(columns={"Date": "d"}), {"time": "d"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_same_market_in_another_form_gives_the_same_series(form, tmp_path):
    change, options = FORMS[form]
    expected = series_of(take_in(tmp_path, market(), domain="plain"))
    report = take_in(tmp_path, change(market()), **options)
    assert (report.num_rows, report.num_quarantined) == (NUM_DAYS, 0), report.notes
    series = series_of(report)
    np.testing.assert_array_equal(series.dates, expected.dates)
    np.testing.assert_allclose(series.returns, expected.returns, rtol=1e-12)
    np.testing.assert_allclose(series.day_variance, expected.day_variance, rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "unit", "scale"),
    [("log", "percent", 100), ("log", "fraction", 1), ("simple", "percent", 100), ("simple", "fraction", 1)],
)
def test_returns_are_read_as_told(kind, unit, scale, tmp_path):
    expected = series_of(take_in(tmp_path, market(), domain="plain"))
    series = series_of(take_in(tmp_path, returns_table(scale, kind), returns=kind, unit=unit))
    np.testing.assert_array_equal(series.dates, expected.dates)
    np.testing.assert_allclose(series.returns, expected.returns, rtol=1e-6)
    np.testing.assert_allclose(series.day_variance, expected.returns**2, rtol=1e-6)
    assert not series.has_range


def test_returns_with_decimal_commas_and_three_digits_are_no_thousands(tmp_path):
    table = returns_table(100)
    table["ret"] = table["ret"].map("{:.3f}".format)
    expected = series_of(take_in(tmp_path, table, domain="plain", returns="log", unit="percent"))
    table["ret"] = table["ret"].str.replace(".", ",")
    report = take_in(tmp_path, table, separator=";", returns="log", unit="percent")
    np.testing.assert_array_equal(series_of(report).returns, expected.returns)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1.5", "1,234.5"], "."),
        (["1,5", "1.234,5"], ","),
        (["0,123", "1,234"], ","),
        (["-0,123", None, "12,345"], ","),
        (["1,234", "2,345"], "."),
        (["0.5", "1,234.5", "12.25"], "."),
    ],
)
def test_decimal_mark_is_one_for_all_numbers_of_a_file(texts, mark):
    assert decimal_mark(pd.Series(texts, dtype=object)) == mark


def test_close_only_and_incomplete_ranges_give_squared_returns(tmp_path):
    report = take_in(tmp_path, market()[["Date", "High", "Low", "Close"]])
    series = series_of(report)
    np.testing.assert_array_equal(series.day_variance, series.returns**2)
    assert any("'High' (high) is not used" in note for note in report.notes)
    assert not series_of(take_in(tmp_path, market()[["Date", "Close"]], domain="b")).has_range


def test_return_beside_a_price_is_not_used_unless_told(tmp_path):
    frame = market().iloc[1:].assign(ret=returns_table(100)["ret"] + 0.5)
    plain = take_in(tmp_path, frame, domain="plain")
    assert any("'ret' (return) is not used" in note for note in plain.notes)
    told = take_in(tmp_path, frame, return_column="ret", returns="log", unit="percent")
    assert len(series_of(told)) == len(series_of(plain)) + 1
    np.testing.assert_allclose(series_of(told).returns[1:], series_of(plain).returns + 0.5, rtol=1e-6)


# ---- what is set aside, with a reason and a count

SET_ASIDE = {
    "missing price": (with_value(market(), 30, "Close", ""), ["no price"]),
    "price that is no number": (with_value(market(), 30, "Close", "halted"), ["no price that can be used"]),
    "zero price": (with_value(market(), 30, "Close", "0"), ["zero or negative price"]),
    "negative price": (with_value(market(), 30, "Close", "-37.6"), ["zero or negative price"]),
    "missing date": (with_value(market(), 30, "Date", ""), ["no date"]),
    "date that is none": (with_value(market(), 30, "Date", "Total"), ["no date"]),
    "equal days": (pd.concat([market(), market().iloc[[30, 31]]]), ["with the same values"] * 2),
    "equal days in other digits": (
        pd.concat([market(), with_value(market(), 30, "Close", market()["Close"][30] + "00").iloc[[30]]]),
        ["with the same values"],
    ),
}


@pytest.mark.parametrize("case", SET_ASIDE)
def test_row_that_cannot_be_used_is_quarantined_and_counted(case, tmp_path):
    frame, reasons = SET_ASIDE[case]
    report = take_in(tmp_path, frame)
    found = quarantine_of(report)
    assert (report.num_rows, report.num_quarantined) == (len(frame) - len(reasons), len(reasons))
    assert all(told in reason for told, reason in zip(reasons, found["reason"], strict=True))
    expected = ["32"] if len(frame) == NUM_DAYS else [str(NUM_DAYS + 2 + k) for k in range(len(reasons))]
    assert found["row"].tolist() == expected  # the line in the file
    assert any(note.startswith(f"{len(reasons)} rows quarantined") for note in report.notes)
    assert read_batches(report.folder)[0]["quarantined"] == len(reasons)
    num_lost = int(len(frame) == NUM_DAYS)  # the others repeat a day
    assert len(series_of(report)) == NUM_DAYS - 1 - num_lost


def test_return_across_a_day_without_a_price_spans_both(tmp_path):
    series = series_of(take_in(tmp_path, with_value(market(), 30, "Close", "")))
    close = market()["Close"].astype(float)
    day = np.datetime64(market()["Date"][31])
    assert series.returns[series.dates == day][0] == pytest.approx(100 * math.log(close[31] / close[29]))


WRONG_RANGES = {
    "high below low": {"High": "1", "Low": "1000000"},
    "close above high": {"High": "0.5"},
    "close below low": {"Low": "1000000"},
    "zero low": {"Low": "0"},
}


@pytest.mark.parametrize("case", WRONG_RANGES)
def test_wrong_range_is_quarantined_and_the_return_kept(case, tmp_path):
    frame = market()
    for column, value in WRONG_RANGES[case].items():
        frame = with_value(frame, 30, column, value)
    report = take_in(tmp_path, frame)
    assert (report.num_rows, report.num_quarantined) == (NUM_DAYS, 1)
    assert "squared return" in quarantine_of(report)["reason"][0] and quarantine_of(report)["row"][0] == "32"
    assert any("1 days whose open, high, low and close contradict" in note for note in report.notes)
    series = series_of(report)
    assert len(series) == NUM_DAYS - 1
    assert series.day_variance[29] == series.returns[29] ** 2 != series.day_variance[28]


def test_weekends_and_holidays_are_no_problem(tmp_path):
    report = take_in(tmp_path, market().drop(index=[30, 31, 100]))
    assert report.num_quarantined == 0 and not any("gap" in note for note in report.notes)
    assert len(series_of(report)) == NUM_DAYS - 4


def test_long_gap_is_told_as_a_caveat_and_its_return_left_out(tmp_path):
    report = take_in(tmp_path, market().drop(index=range(100, 130)))
    first_after = market()["Date"][130]
    assert any(
        f"1 gaps of more than 10 days; the return across each is left out: {first_after}" in n for n in report.notes
    )
    assert any("gaps" in caveat for caveat in read_domain_spec(report.folder).caveats)
    assert np.datetime64(first_after) not in series_of(report).dates
    assert len(series_of(report)) == NUM_DAYS - 30 - 2


def test_filled_holidays_are_told_as_a_caveat(tmp_path):
    frame = market()
    for row in range(10, NUM_DAYS, 10):
        frame.loc[row, ["Open", "High", "Low", "Close"]] = frame.loc[row - 1, "Close"]
    caveats = read_domain_spec(take_in(tmp_path, frame).folder).caveats
    assert len(caveats) == 1 and "9.9% of the returns are zero" in caveats[0]


# ---- jumps


def split(ratio, row=300):
    frame = market()
    before = np.arange(NUM_DAYS) < row
    for column in frame.columns[1:]:
        frame.loc[before, column] = (frame.loc[before, column].astype(float) * ratio).map(str)
    return frame


@pytest.mark.parametrize(
    ("ratio", "shown"), [(2, "1:2"), (3, "1:3"), (7, "1:7"), (0.5, "2:1"), (0.1, "10:1"), (100, "1:100")]
)
def test_jump_like_a_split_is_refused_unless_kept_or_adjusted(ratio, shown, tmp_path):
    frame = split(ratio)
    with pytest.raises(BadInputError, match=rf"{frame['Date'][300]} \({shown}\).*--keep-jumps"):
        take_in(tmp_path, frame)
    assert not (tmp_path / "data").exists()
    kept = take_in(tmp_path, frame, keep_jumps=True)
    assert any("beyond 40 % are kept" in caveat for caveat in read_domain_spec(kept.folder).caveats)
    assert abs(series_of(kept).returns).max() > 60
    adjusted = take_in(tmp_path, frame.assign(**{"Adj Close": market()["Close"]}), domain="adjusted")
    plain = series_of(take_in(tmp_path, market(), domain="plain"))
    np.testing.assert_allclose(series_of(adjusted).returns, plain.returns, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(series_of(adjusted).day_variance, plain.day_variance, rtol=1e-5, atol=1e-9)


def test_adjusted_close_that_jumps_itself_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="look like splits"):
        take_in(tmp_path, market().assign(**{"Adj Close": split(2)["Close"]}))


def test_great_jump_that_is_no_simple_ratio_is_kept_and_told(tmp_path):
    report = take_in(tmp_path, split(math.exp(0.52)))
    assert any("1 log returns beyond 40 % are kept" in note for note in report.notes)


@pytest.mark.parametrize(
    ("return_percent", "ratio"),
    [
        (100 * math.log(2), "2:1"),
        (-100 * math.log(2) + 4, "1:2"),
        (-100 * math.log(2) + 6, ""),
        (-100 * math.log(1.5), "2:3"),
        (100 * math.log(1.75), ""),
        (-100 * math.log(20), "1:20"),
        (52.0, ""),
        (-100 * math.log(100) + 3, "1:100"),
        (100 * math.log(17) - 1, "17:1"),
    ],
)
def test_split_ratio_by_hand(return_percent, ratio):
    assert split_ratio(return_percent) == ratio


def test_real_fall_of_oil_in_1991_needs_keep_jumps(tmp_path):
    try:
        path = locate_package_file("arch", "arch/data/wti/wti.csv.gz", read_demo_spec("wti").sha256)
    except MissingArtifactError as error:
        pytest.skip(f"demo data not installed: {error.message}")
    told = {"close": "DCOILWTICO"}
    with pytest.raises(BadInputError, match="No column is known as the close"):
        import_domain(path, tmp_path, "oil")
    with pytest.raises(BadInputError, match=r"1 days look like splits.*1991-01-17 \(2:3\)"):
        import_domain(path, tmp_path, "oil", **told)
    report = import_domain(path, tmp_path, "oil", keep_jumps=True, **told)
    assert (report.num_rows, report.num_quarantined) == (8321, 290)
    assert series_of(report).returns.min() == pytest.approx(-40.64, abs=0.01)


# ---- what is refused


def intraday():
    frame = market().iloc[:300]
    return pd.concat([frame.assign(Date=frame["Date"] + f" {hour}:00:00") for hour in (10, 14)])


def mixed_tickers():
    other = market().assign(Close=[str(float(text) * 1.001) for text in market()["Close"]])
    return pd.concat([market(), other[["Date", "Close"]]])


REFUSED = {
    "too short": (market(500), {}, "499 daily returns are not enough"),
    "constant": (market().assign(Open="7", High="7", Low="7", Close="7"), {}, "the same on all"),
    "other values": (
        pd.concat([market(), with_value(market(), 30, "Close", "55").iloc[[30]]]),
        {},
        market()["Date"][30],
    ),
    "two markets": (mixed_tickers(), {}, "640 days stand twice with different values.*one market only"),
    "weekly": (market(3000).iloc[::5], {}, "weekly"),
    "monthly": (market(12_000).iloc[::20], {}, "Give daily rows"),
    "intraday": (intraday(), {}, "intraday data.*first open, highest high, lowest low and last close"),
    "UTC without a zone": (market().assign(Date=market()["Date"] + "T21:00:00Z"), {}, "--zone"),
    "unknown zone": (market(), {"zone": "Europe/Berlim"}, "Europe/Berlin"),
    "no dates": (market().assign(Date="soon"), {}, "does not parse as dates"),
    "no date column": (market().rename(columns={"Date": "x"}), {}, "--date COLUMN"),
    "no price column": (market()[["Date", "Open"]], {}, "--close COLUMN or --return COLUMN"),
    "two closes": (market().assign(close=market()["Close"]), {}, "--close COLUMN"),
    "option names no column": (market(), {"close": "Clos"}, "'Close'"),
    "one column twice": (market(), {"open": "Close"}, "cannot be open and close"),
    "returns for prices": (market().assign(Close=returns_table()["ret"]), {}, "these are no prices.*--return"),
    "mostly empty": (market().assign(Close=market()["Close"].where(np.arange(NUM_DAYS) < 100, "")), {}, "are missing"),
    "price and return told": (
        market().assign(ret=1.0),
        {"close": "Close", "return_column": "ret", "returns": "log", "unit": "percent"},
        "at once",
    ),
    "returns not told": (returns_table(), {"unit": "percent"}, "--returns simple or log"),
    "unit not told": (returns_table(), {"returns": "log"}, "--unit percent or fraction"),
    "unknown unit": (returns_table(), {"returns": "log", "unit": "bp"}, "--unit is bp"),
    "unit of prices": (market(), {"unit": "percent"}, "read as prices"),
    "percent told as fraction": (returns_table(100), {"returns": "log", "unit": "fraction"}, "--unit percent"),
    "calm percent told as fraction": (returns_table(20), {"returns": "simple", "unit": "fraction"}, "--unit percent"),
    "fraction told as percent": (returns_table(), {"returns": "log", "unit": "percent"}, "--unit fraction"),
    "a label": (market(), {"label": "Close"}, "no --label"),
    "after outcome": (market(), {"after_outcome": ("Close",)}, "no --after-outcome"),
    "bad name": (market(), {"domain": "a/b"}, "no domain name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_table_that_is_no_daily_market_is_refused_and_nothing_written(case, tmp_path):
    frame, options, told = REFUSED[case]
    with pytest.raises(BadInputError, match=told):
        take_in(tmp_path, frame, **options)
    assert not (tmp_path / "data").exists()


def test_short_by_one_day_is_refused_and_500_returns_are_enough(tmp_path):
    assert len(series_of(take_in(tmp_path, market(501)))) == 500


def test_unknown_keyword_is_no_silent_typo(tmp_path):
    with pytest.raises(TypeError, match="keep_jump"):
        take_in(tmp_path, market(), keep_jump=True)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(MissingArtifactError, match="no file"):
        import_domain(tmp_path / "none.csv", tmp_path / "data", "ours")


def test_options_of_the_command_line_are_keywords_of_the_import():
    keywords = inspect.signature(import_domain).parameters
    options = {"date", "open", "high", "low", "close", "adj_close", "return_column", "returns", "unit", "zone"}
    assert options | {"keep_jumps", "batch", "time"} <= set(keywords)


# ---- further batches


def split_in_two(tmp_path, **options):
    """The first 600 days taken in, and the whole."""
    frame = market()
    return take_in(tmp_path, frame.iloc[:600], **options), frame


def test_further_batch_adds_days_and_equal_ones_are_set_aside(tmp_path):
    first, frame = split_in_two(tmp_path)
    report = take_in(tmp_path, frame.iloc[590:], batch="may")
    assert (report.num_rows, report.num_quarantined) == (40, 10)
    assert set(quarantine_of(report, "may")["reason"]) == {
        "the day stands already in batch 'initial' with the same values"
    }
    whole = series_of(take_in(tmp_path, frame, domain="whole"))
    np.testing.assert_array_equal(series_of(report).returns, whole.returns)
    np.testing.assert_array_equal(series_of(report).day_variance, whole.day_variance)
    assert read_domain_spec(first.folder).source == "prices.csv"
    assert [entry["rows"] for entry in read_batches(report.folder)] == [600, 40]


def test_earlier_history_may_come_later(tmp_path):
    frame = market()
    take_in(tmp_path, frame.iloc[100:])
    report = take_in(tmp_path, frame.iloc[:100], batch="history")
    whole = series_of(take_in(tmp_path, frame, domain="whole"))
    np.testing.assert_array_equal(series_of(report).returns, whole.returns)


def test_batch_of_one_day_in_the_first_file_s_date_format_is_read(tmp_path):
    frame = market()
    day_first = frame.assign(Date=pd.to_datetime(frame["Date"]).dt.strftime("%d/%m/%Y"))
    row = next(row for row in range(600, NUM_DAYS) if day_first["Date"][row].startswith("05/"))  # 05/06: May or June?
    take_in(tmp_path, day_first.iloc[:row])
    report = take_in(tmp_path, day_first.iloc[[row]], batch="one")
    assert str(series_of(report).dates[-1]) == frame["Date"][row]


def test_history_that_ends_in_a_jump_to_the_first_known_day_is_refused(tmp_path):
    frame = split(2, row=100)
    take_in(tmp_path, frame.iloc[100:])
    with pytest.raises(BadInputError, match=rf"{frame['Date'][100]} \(1:2\)"):
        take_in(tmp_path, frame.iloc[:100], batch="history")


def test_known_day_without_a_high_is_equal_to_itself(tmp_path):
    frame = with_value(market(), 595, "High", "")
    take_in(tmp_path, frame.iloc[:600])
    assert take_in(tmp_path, frame.iloc[590:], batch="may").num_quarantined == 10


def test_day_that_was_doubled_by_hand_is_named(tmp_path):
    first, frame = split_in_two(tmp_path)
    path = batch_path(first.folder, "initial")
    pd.read_parquet(path).iloc[[*range(600), 300]].to_parquet(path)
    with pytest.raises(BadInputError, match=f"stand more than once: {frame['Date'][300]}"):
        take_in(tmp_path, frame.iloc[600:], batch="may")


def test_batch_with_a_jump_to_its_first_day_is_refused(tmp_path):
    _, frame = split_in_two(tmp_path)
    later = frame.iloc[600:].copy()
    for column in later.columns[1:]:
        later[column] = (later[column].astype(float) / 2).map(str)
    with pytest.raises(BadInputError, match=rf"{frame['Date'][600]} \(1:2\)"):
        take_in(tmp_path, later, batch="may")
    assert take_in(tmp_path, later, batch="may", keep_jumps=True).num_rows == 40
    # the jump is known now and does not stand in the way of what comes later
    more = market(700).iloc[640:].copy()
    for column in more.columns[1:]:
        more[column] = (more[column].astype(float) / 2).map(str)
    assert take_in(tmp_path, more, batch="june").num_rows == 60


CONTRADICTED = {
    "another close": (lambda frame: with_value(frame, 595, "Close", "99"), {}, "1 days have other values.*DAY"),
    "a missing high": (lambda frame: with_value(frame, 595, "High", ""), {}, "1 days have other values.*DAY"),
    "a renamed column": (lambda frame: frame.rename(columns={"Close": "Closing"}), {}, "'Closing'"),
    "another option": (lambda frame: frame, {"close": "Open"}, "--close Open contradicts domain.yaml"),
    "returns told": (lambda frame: frame, {"returns": "log"}, "--returns log contradicts domain.yaml"),
    "nothing new": (lambda frame: frame.iloc[:600], {}, "No row is left of 20"),
    "the same batch": (lambda frame: frame, {"batch": "initial"}, "'initial' already"),
}


@pytest.mark.parametrize("case", CONTRADICTED)
def test_batch_that_contradicts_what_is_known_is_refused_and_nothing_written(case, tmp_path):
    first, frame = split_in_two(tmp_path)
    change, options, told = CONTRADICTED[case]
    before = sorted(path.name for path in first.folder.rglob("*"))
    with pytest.raises(BadInputError, match=told.replace("DAY", frame["Date"][595])):
        take_in(tmp_path, change(frame).iloc[580:], **{"batch": "may", **options})
    assert sorted(path.name for path in first.folder.rglob("*")) == before


def test_batch_of_adjusted_prices_without_a_known_day_is_told(tmp_path):
    frame = market().assign(**{"Adj Close": market()["Close"]})
    take_in(tmp_path, frame.iloc[:600])
    alone = take_in(tmp_path, frame.iloc[610:], batch="alone")
    assert any("Deliver a few known days along" in note for note in alone.notes)
    rewritten = frame.assign(**{"Adj Close": (frame["Close"].astype(float) * 0.98).map(str)})
    with pytest.raises(BadInputError, match="rewritten by every payout"):
        take_in(tmp_path, rewritten.iloc[590:610], batch="paid")


def test_batch_of_returns_in_another_unit_is_refused(tmp_path):
    table = returns_table(100)
    take_in(tmp_path, table.iloc[:600], returns="log", unit="percent")
    later = table.iloc[600:].assign(ret=table["ret"].iloc[600:] / 100)
    with pytest.raises(BadInputError, match="--unit fraction"):
        take_in(tmp_path, later, batch="may")
    assert take_in(tmp_path, table.iloc[600:], batch="may").num_rows == len(table) - 600
