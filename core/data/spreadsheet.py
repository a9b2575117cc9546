"""Cells that no spreadsheet runs as a formula. Source: OWASP, "CSV Injection"."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# A spreadsheet runs a cell that begins so, also behind blanks; a plain number such as -5 is harmless.
FORMULA_START = r"^\s*[=+\-@\t\r\n|]"
PLAIN_NUMBER = r"^[+-]?\d+(\.\d+)?$"


def neutralise_formulas(texts: pa.Array) -> pa.Array:
    """The texts, with an apostrophe before those that a spreadsheet would take for a formula."""
    is_formula = pc.and_not(
        pc.match_substring_regex(texts, FORMULA_START), pc.match_substring_regex(texts, PLAIN_NUMBER)
    )
    if not pc.any(is_formula).as_py():
        return texts
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)


def harmless(text: str) -> str:
    """One text, as `neutralise_formulas` makes it."""
    return neutralise_formulas(pa.array([text], pa.string()))[0].as_py()


def harmless_csv(table: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV with a mark that spreadsheets know it by; column names are made harmless, too."""
    shown = table.rename(columns=lambda name: harmless(str(name)))
    for name in shown.select_dtypes(exclude=["number", "bool", "datetime"]).columns:
        texts = pa.array([None if pd.isna(value) else str(value) for value in shown[name]], pa.string())
        shown[name] = pd.Series(neutralise_formulas(texts).to_pylist(), dtype=object, index=shown.index)
    return shown.to_csv(index=False).encode("utf-8-sig")
