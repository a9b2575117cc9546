"""No cell that leaves the project is run by a spreadsheet."""

import io

import pandas as pd
import pytest

from core.data.spreadsheet import harmless, harmless_csv


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "|calc", "\t=1", "  =HYPERLINK(1)"])
def test_harmless_formula_gets_an_apostrophe(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["plain", "-5", "+3.2", "a=b", ""])
def test_harmless_plain_text_stays(text):
    assert harmless(text) == text


def test_harmless_csv_numbers_missing_values_and_names():
    table = pd.DataFrame({"=name": ["=1", None, "ok"], "value": [-1.5, 2.0, None]})
    read = pd.read_csv(io.BytesIO(harmless_csv(table)), encoding="utf-8-sig")
    assert list(read.columns) == ["'=name", "value"]
    assert read["'=name"].tolist()[0] == "'=1" and read["'=name"].isna().tolist() == [False, True, False]
    assert read["value"].tolist()[:2] == [-1.5, 2.0]
