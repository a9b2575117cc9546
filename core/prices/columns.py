"""Which columns of a market's table are what: well-known names, options, and the ColumnSpecs made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec
from core.data.inference import infer_column, infer_decimal
from core.data.typing_rows import check_columns
from core.errors import BadInputError

RANGE = ("open", "high", "low")
ROLES = ("date", *RANGE, "close", "adj_close", "return")
# letters of a lower-case column name -> role; the earlier name wins where a table has several of one role
KNOWN_NAMES: Mapping[str, str] = {
    "date": "date tradedate tradingdate tradingday day datum observationdate datetime timestamp time unnamed rownames",
    "open": "open openprice pxopen opening eröffnung eroeffnung erster",
    "high": "high highprice pxhigh höchst hoch tageshoch",
    "low": "low lowprice pxlow tiefst tief tagestief",
    "close": "close closeprice closelast closing pxlast last lastprice settle settlement settlementprice price "
    "schlusskurs schluss kurs",
    "adj_close": "adjclose adjustedclose adjcloseprice closeadj closeadjusted",
    "return": "return returns ret logreturn logreturns simplereturn dailyreturn",
}
MEANINGS = {
    "date": "Calendar day of the session",
    "open": "First price of the session",
    "high": "Highest price of the session",
    "low": "Lowest price of the session",
    "close": "Last price of the session",
    "adj_close": "Last price of the session, adjusted for splits and payouts",
    "log_return": "Log return since the session before",
    "simple_return": "Return since the session before, as a change of the price",
}


def option(role: str) -> str:
    """The command line's option that names the column of a role."""
    return "--" + role.replace("_", "-")


def choose_columns(names: Sequence[str], wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """(role -> column, notes) from the file's columns and the ones told by option.

    Raises:
        BadInputError: an option names no column or one twice, a role is claimed by two columns, there is no date, or
            neither a price nor a return.
    """
    check_columns(names, list(wanted.values()), where="the options")
    chosen: dict[str, str] = {}
    for role in ROLES:
        column = wanted.get(role) or _by_name(names, role)
        if column is not None:
            chosen[role] = column
    twice = {column: [r for r in chosen if chosen[r] == column] for column in chosen.values()}
    for column, roles in twice.items():
        if len(roles) > 1:
            raise BadInputError(
                f"The column '{column}' cannot be {' and '.join(roles)} at once.", repair="Keep one of the options."
            )
    return _without_unused(chosen, wanted, names)


def _by_name(names: Sequence[str], role: str) -> str | None:
    bare = {name: re.sub(r"[\W\d_]", "", name.lower()) for name in names}
    for known in KNOWN_NAMES[role].split():
        found = [name for name in names if bare[name] == known]
        if len(found) > 1:
            raise BadInputError(
                f"Which column is the {role.replace('_', ' ')}: {', '.join(map(repr, found))}?",
                repair=f"Say {option(role)} COLUMN.",
            )
        if found:
            return found[0]
    return None


def _without_unused(
    chosen: dict[str, str], wanted: Mapping[str, str], names: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """The columns that are read, and notes on those that are not."""
    has_price = "close" in chosen or "adj_close" in chosen
    if "date" not in chosen or not (has_price or "return" in chosen):
        lacking = "date" if "date" not in chosen else "close, price or return"
        told = "--date" if "date" not in chosen else "--close COLUMN or --return"
        raise BadInputError(
            f"No column is known as the {lacking}; the file has {', '.join(names)}.", repair=f"Say {told} COLUMN."
        )
    notes, unused = [], set()
    if has_price and "return" in chosen:
        if "return" in wanted and {"close", "adj_close"} & set(wanted):
            raise BadInputError("--return and a price are told at once.", repair="Keep one of them.")
        unused = {*RANGE, "close", "adj_close"} if "return" in wanted else {"return"}
    if "close" not in chosen or "return" in chosen.keys() - unused or not set(RANGE) <= chosen.keys():
        unused |= set(RANGE)  # a range without its open and close tells no variance
    for role in unused & chosen.keys():
        notes.append(f"'{chosen[role]}' ({role}) is not used with the other columns of this table.")
    return {role: column for role, column in chosen.items() if role not in unused}, sorted(notes)


def decimal_mark(texts: pd.Series) -> str:
    """The decimal mark of numbers of one file; 0,123 speaks for the comma as 12,5 does."""
    unique_texts = texts.dropna().unique().astype(object)
    only_comma = pd.Series(unique_texts, dtype=object).str.fullmatch(r"\s*[+-]?0,\d+%?\s*").any()
    has_point = pd.Series(unique_texts, dtype=object).str.contains(".", regex=False).any()
    return "," if only_comma and not has_point else infer_decimal(unique_texts)


def column_specs(
    frame: pd.DataFrame, chosen: Mapping[str, str], *, date_format: str, returns: str, unit: str
) -> tuple[ColumnSpec, ...]:
    """Every column of the file: the chosen ones by their role, the others ignored.

    `returns` (simple, log) and `unit` (percent, fraction) say what the column of the role `return` holds.
    """
    role_of = {column: role for role, column in chosen.items()}
    numbers = [column for role, column in chosen.items() if role != "date"]
    decimal = decimal_mark(pd.Series(np.concatenate([frame[name].to_numpy(dtype=object) for name in numbers])))
    specs = []
    for name in frame.columns:
        role = role_of.get(name)
        if role is None:
            specs.append(replace(infer_column(name, frame[name]).column, use="ignore"))
            continue
        concept = f"{returns}_return" if role == "return" else role
        known = ColumnSpec(name=name, concept=concept, meaning=MEANINGS[concept])
        if role == "date":
            specs.append(replace(known, kind="date", use="time", date_format=date_format))
        else:
            specs.append(replace(known, kind="number", decimal=decimal, unit=unit if role == "return" else "price"))
    return tuple(specs)
