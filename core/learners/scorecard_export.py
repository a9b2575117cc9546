"""A fitted scorecard as SQL or JSON that scores exactly as the learner does."""

from __future__ import annotations

from typing import Any, Literal

from core.artifacts import to_plain
from core.errors import BadParamsError, did_you_mean
from core.learners.scorecard import Scorecard
from core.learners.scorecard_bins import Bin, ColumnBins

Dialect = Literal["sqlite", "duckdb", "postgres"]
DIALECTS = ("sqlite", "duckdb", "postgres")

SCORING_RULE = (
    "For each column find the bin of the row's value: 'missing' when the value is null or not a number; else the "
    "'special' bin that lists it; else the 'range' bin with low <= value < high (null = unbounded), or the "
    "'categories' bin that lists it (exact text); else 'unseen'. Add the bins' points in the order of the columns. "
    "probability = 1 / (1 + exp((score - offset) / factor))."
)


def to_sql(card: Scorecard, table_name: str, dialect: Dialect = "sqlite") -> str:
    """A SELECT that gives every row of `table_name` with its `score` and `probability` (of class 1).

    Numbers must be numeric columns and categories text columns, as the learner sees them. NULL and NaN are missing.

    Raises:
        BadParamsError: the dialect is unknown.
    """
    if dialect not in DIALECTS:
        raise BadParamsError(f"Unknown SQL dialect '{dialect}'.", repair=did_you_mean(dialect, DIALECTS))
    cases = "\n    + ".join(_case(column, dialect) for column in card.columns_)
    exponent = f"(score - {_number(card.scale.offset)}) / {_number(card.scale.factor)}"
    one = _number(1.0)
    return (
        f"SELECT scored.*, {one} / ({one} + EXP({exponent})) AS probability\n"
        f"FROM (\n  SELECT card_rows.*,\n    {cases} AS score\n  FROM {_identifier(table_name)} AS card_rows\n"
        ") AS scored"
    )


def to_json(card: Scorecard) -> dict[str, Any]:
    """The card as plain values with its scoring rule, for an engine of the user's own."""
    return to_plain(
        {
            "rule": SCORING_RULE,
            "offset": card.scale.offset,
            "factor": card.scale.factor,
            "columns": [
                {
                    "name": column.name,
                    "is_number": column.is_number,
                    "bins": [
                        {
                            "kind": part.kind,
                            "low": part.low,
                            "high": part.high,
                            "values": list(part.values),
                            "points": part.points,
                            "woe": part.woe,
                            "count": part.count,
                            "event_rate": part.event_rate,
                        }
                        for part in column.bins
                    ],
                }
                for column in card.columns_
            ],
        }
    )


def _case(column: ColumnBins, dialect: str) -> str:
    """One CASE expression: missing and special values first, then the bins in order, the rest last."""
    name = f"card_rows.{_identifier(column.name)}"
    branches = []
    for part in sorted(column.bins, key=lambda part: {"missing": 0, "special": 1}.get(part.kind, 2)):
        condition = _condition(name, part, column.is_number, dialect)
        branches.append(f"WHEN {condition} THEN {_number(part.points)}" if condition else None)
    rest = next(part for part in column.bins if part.kind == "unseen" or (part.kind == "range" and part.high is None))
    told = "\n      ".join(branch for branch in branches if branch)
    return f"CASE\n      {told}\n      ELSE {_number(rest.points)} END"


def _condition(name: str, part: Bin, is_number: bool, dialect: str) -> str:
    """The SQL test of one bin, or nothing for the bin that takes the rest."""
    if part.kind == "missing":
        test = f"{name} IS NULL"
        # SQLite stores NaN as NULL; the others keep it and sort it above every number
        has_nan = is_number and dialect != "sqlite"
        return f"{test} OR CAST({name} AS DOUBLE PRECISION) = CAST('NaN' AS DOUBLE PRECISION)" if has_nan else test
    if part.kind == "special":
        return f"{name} IN ({', '.join(_number(value) for value in part.values)})"
    if part.kind == "categories":
        return f"{name} IN ({', '.join(_text(str(value)) for value in part.values)})"
    if part.kind == "range" and part.high is not None:
        return f"{name} < {_number(part.high)}"
    return ""


def _number(value: float) -> str:
    """A double-precision literal: a bare decimal would be of another type in some engines."""
    return f"CAST('{float(value)!r}' AS DOUBLE PRECISION)"


def _text(value: str) -> str:
    """A quoted text literal."""
    return "'" + value.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
