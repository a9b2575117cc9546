import numpy as np
import pandas as pd
import pytest

from core.data.domain import ColumnSpec, DomainSpec
from core.data.inference import infer_column
from core.data.labels import read_labels
from core.data.number_texts import parse_number, parse_numbers
from core.data.typing_rows import MAX_TEXT_CHARACTERS, type_rows
from core.errors import BadInputError


def spec_of(*columns, **more):
    return DomainSpec(name="bank", vertical="credit_risk", columns=columns, **more)


def typed(texts, **column):
    rows = pd.DataFrame({"x": pd.Series(texts, dtype="str")})
    return type_rows(rows, spec_of(ColumnSpec(name="x", **column)))


@pytest.mark.parametrize(
    ("text", "with_point", "with_comma"),
    [
        ("12", 12, 12),
        (" 12.5 ", 12.5, 12.5),
        ("1e3", 1000, 1000),
        ("1,234", 1234, 1.234),
        ("1.234", 1.234, 1234),
        ("12,5", 12.5, 12.5),
        ("0,125", 0.125, 0.125),
        ("1.234,56", 1234.56, 1234.56),
        ("1,234.56", 1234.56, 1234.56),
        ("1.234.567", 1234567, 1234567),
        ("1 234 567", 1234567, 1234567),
        ("$1,200.50", 1200.5, 1200.5),
        ("-€300", np.nan, np.nan),
        ("300 DM", 300, 300),
        ("13.5%", 13.5, 13.5),
        ("−5", -5, -5),
        ("n/a", np.nan, np.nan),
        ("12 or 13", np.nan, np.nan),
        ("1,23,456", np.nan, np.nan),
        ("True", np.nan, np.nan),
    ],
)
def test_number_text_is_read_by_the_columns_decimal_mark(text, with_point, with_comma):
    np.testing.assert_equal(parse_number(text, ".")[0], with_point)
    np.testing.assert_equal(parse_number(text, ",")[0], with_comma)
    for decimal in ".,":  # the column path must agree with the single text
        column = parse_numbers(np.array([text, None], dtype=object), decimal)
        np.testing.assert_equal(column.values, [parse_number(text, decimal)[0], np.nan])


def test_number_that_cannot_be_read_becomes_missing_with_a_problem_row():
    result = typed(["1", "n/a", "abc", "inf", None, "-Infinity", "200", "-3"], kind="number", allowed=(0, 100))
    np.testing.assert_equal(result.frame["x"].to_numpy(), [1] + [np.nan] * 7)
    assert result.problems[["row", "value", "reason"]].values.tolist() == [
        [2, "abc", "not a number"],
        [3, "inf", "infinite"],
        [5, "-Infinity", "infinite"],
        [6, "200", "outside the allowed 0.0..100.0"],
        [7, "-3", "outside the allowed 0.0..100.0"],
    ]


def test_tolerated_manners_are_noted_with_their_count():
    result = typed(["1,200", "1,300", "5%"], kind="number")
    assert result.notes == (
        "2 values of 'x' with a thousands separator read.",
        "1 value of 'x' with a percent sign read.",
    )


def test_declared_missing_words_are_missing_and_no_problem():
    assert typed(["99999", "5"], kind="number", missing_values=("99999",)).frame["x"].isna().tolist() == [True, False]
    result = typed(["emp_unk", " own ", "", None, "none"], kind="category", missing_values=("emp_unk",))
    assert result.frame["x"].tolist() == [None, "own", None, None, "none"]
    assert len(result.problems) == 0


def test_unseen_category_is_kept():
    result = typed(["brand new"], kind="category", order=("low", "high"))
    assert result.frame["x"].tolist() == ["brand new"]
    assert len(result.problems) == 0


def test_dates_are_read_by_format_and_iso_and_strays_are_missing():
    result = typed(["Mar-2018", "2018-04-01", "13-2018", None, "n/a"], kind="date", date_format="%b-%Y")
    assert result.frame["x"].dtype == "datetime64[us]"
    expected = pd.to_datetime(pd.Series(["2018-03-01", "2018-04-01", None, None, None])).to_numpy()
    np.testing.assert_array_equal(result.frame["x"].to_numpy(), expected.astype("datetime64[us]"))
    assert result.problems["row"].tolist() == [2]


def test_text_of_100_kilobytes_is_cut_with_a_problem_row():
    result = typed(["word " * 20_000, "short"], kind="text")
    assert [len(text) for text in result.frame["x"]] == [MAX_TEXT_CHARACTERS, 5]
    assert result.problems["reason"].tolist() == ["a text of 100,000 characters was cut to 20,000"]


def test_frame_has_the_dtypes_of_the_contract_also_without_rows():
    kinds = ("number", "category", "text", "date")
    spec = spec_of(*(ColumnSpec(name=kind, kind=kind) for kind in kinds))
    for rows in (0, 1):
        frame = type_rows(pd.DataFrame({kind: ["1"] * rows for kind in kinds}, dtype="str"), spec).frame
        assert [str(dtype) for dtype in frame.dtypes] == ["float64", "object", "object", "datetime64[us]"]
        assert len(frame) == rows


def test_missing_feature_column_names_the_nearest_and_extra_ones_are_noted():
    spec = spec_of(
        ColumnSpec(name="annual_income", kind="number"),
        ColumnSpec(name="bad", use="label"),
        ColumnSpec(name="paid", kind="number", is_after_outcome=True),
    )
    with pytest.raises(BadInputError, match=r"'annual_income' .*'annual_incme'"):
        type_rows(pd.DataFrame({"annual_incme": ["1"]}), spec)
    result = type_rows(pd.DataFrame({"annual_income": ["1"], "shoe_size": ["44"]}), spec)
    assert list(result.frame.columns) == ["annual_income", "bad", "paid"]
    assert result.frame["bad"].isna().all()
    assert "shoe_size" in result.notes[0]


def test_type_rows_does_not_edit_its_argument():
    raw = pd.DataFrame({"x": ["1,5", "abc"]})
    before = raw.copy()
    type_rows(raw, spec_of(ColumnSpec(name="x", kind="number")))
    pd.testing.assert_frame_equal(raw, before)


def test_labels_agree_between_csv_and_parquet_and_other_texts_are_no_outcome():
    spec = spec_of(ColumnSpec(name="y", use="label"), positive=("1",), negative=("0",))
    labels = read_labels(pd.Series(["1", "1.0", " 0", "0.0", "2", None, ""], dtype="str"), spec)
    np.testing.assert_equal(labels.values, [1, 1, 0, 0, np.nan, np.nan, np.nan])
    assert labels.no_outcome == {"2": 1}
    assert labels.num_missing == 2


FIRST_NAMES = [f"person {i} of town" for i in range(80)]


@pytest.mark.parametrize(
    ("name", "texts", "kind", "use", "date_format"),
    [
        ("amount", ["1,200.5", "300", "n/a", "7"] * 9, "number", "feature", ""),
        ("flag", ["0", "1"] * 20, "number", "feature", ""),
        ("zip", ["01234", "99999"] * 20, "category", "feature", ""),
        ("state", ["CA", "NY"] * 20, "category", "feature", ""),
        ("issued", ["2012-01-01", "2012-02-01"] * 20, "date", "feature", "%Y-%m-%d"),
        ("issued", ["Mar-2018", "Jan-2018"] * 20, "date", "feature", "%b-%Y"),
        ("issued", ["31.12.2018", "01.02.2018"] * 20, "date", "feature", "%d.%m.%Y"),
        ("issued", ["12/31/2018", "01/02/2018"] * 20, "date", "feature", "%m/%d/%Y"),
        ("issued", ["31/12/2018", "01/02/2018"] * 20, "date", "feature", "%d/%m/%Y"),
        ("issued", ["20181231", "20180102"] * 20, "date", "feature", "%Y%m%d"),
        ("when", ["2012-01-01T10:00:00Z", "2012-02-01 11:00"] * 20, "date", "feature", ""),
        ("employer", FIRST_NAMES, "text", "feature", ""),
        ("note", ["a long text, as people write when they are asked why they want a loan " + n for n in FIRST_NAMES],
         "text", "feature", ""),
        ("loan_id", [str(3 * i + 7) for i in range(50)], "category", "ignore", ""),
        ("rownames", [str(i) for i in range(1, 50)], "category", "ignore", ""),
        ("uuid", [f"a{i:05d}" for i in range(50)], "category", "ignore", ""),
        ("income", [f"{i}.37" for i in range(50)], "number", "feature", ""),
        ("empty", [None] * 5, "category", "ignore", ""),
    ],
)  # fmt: skip
def test_inference_of_a_column(name, texts, kind, use, date_format):
    column = infer_column(name, pd.Series(texts, dtype="str")).column
    assert (column.kind, column.use, column.date_format) == (kind, use, date_format)


def test_inference_writes_the_decimal_comma_down():
    column = infer_column("betrag", pd.Series(["1.234,50", "12,5", "1.200"])).column
    assert (column.kind, column.decimal) == ("number", ",")
    typed_rows = type_rows(pd.DataFrame({"betrag": ["1.200", "12,5"]}), spec_of(column))
    assert typed_rows.frame["betrag"].tolist() == [1200.0, 12.5]


def test_inference_notes_what_a_reviewer_should_see():
    assert "one value only" in infer_column("x", pd.Series(["a"] * 5)).notes[0]
    assert "read as missing" in infer_column("x", pd.Series(["a", "b", "N/A"])).notes[0]
    assert infer_column("x", pd.Series(["a", "b", "N/A"])).column.missing_values == ("N/A",)
    assert "protected" in infer_column("applicant_sex", pd.Series(["f", "m"])).notes[0]
    assert "cannot be told apart" in infer_column("d", pd.Series(["01/02/2018", "03/04/2018"])).notes[0]
