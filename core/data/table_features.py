"""Which columns of a domain are features, and their typed values as learners see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.table_schema import Feature, TableSchema
from core.errors import BadParamsError, did_you_mean

DATE_ORIGIN = pd.Timestamp("2000-01-01")


def feature_columns(
    spec: DomainSpec, *, use_protected: bool = True, drop_columns: Sequence[str] = ()
) -> tuple[ColumnSpec, ...]:
    """The domain's columns that may be features: use `feature`, known before the outcome, not dropped.

    Raises:
        BadParamsError: `drop_columns` names a column that the domain does not have; the nearest is named.
    """
    names = [column.name for column in spec.columns]
    for name in drop_columns:
        if name not in names:
            raise BadParamsError(
                f"prepare.drop_columns: domain '{spec.name}' has no column '{name}'.",
                repair=did_you_mean(name, names),
            )
    return tuple(
        column
        for column in spec.with_use("feature")
        if not column.is_after_outcome
        and column.name not in set(drop_columns)
        and (use_protected or not column.is_protected)
    )


def has_time_column(spec: DomainSpec) -> bool:
    """Whether rows of this domain have a time, which ages of dates refer to."""
    return bool(spec.with_use("time"))


def feature_schema(columns: Sequence[ColumnSpec], *, has_time: bool) -> TableSchema:
    """Features of the columns, in order; categories of unordered ones are still to be filled from training rows."""
    return TableSchema(tuple(_feature(column, has_time=has_time) for column in columns))


def feature_frame(
    columns: pd.DataFrame, chosen: Sequence[ColumnSpec], time: pd.Series, *, has_time: bool
) -> pd.DataFrame:
    """(N, D) typed raw columns as features: float64 numbers, `object` texts with None, dates as days.

    A date becomes `<name>_age_days`, its days before the row's time; `<name>_days`, days since 2000-01-01, where the
    domain has no time column. A column that `columns` lacks is missing in every row.
    """
    features = {}
    for column in chosen:
        name = _feature_name(column, has_time=has_time)
        if column.name not in columns:
            values = pd.Series(None, index=range(len(columns)), dtype=object)
        else:
            values = columns[column.name].reset_index(drop=True)
        if column.kind == "date":
            features[name] = _days(values, time.reset_index(drop=True) if has_time else None)
        elif column.kind == "number":
            features[name] = as_numbers(values)
        else:
            features[name] = as_texts(values)
    return pd.DataFrame(features, index=range(len(columns)))


def as_numbers(values: pd.Series) -> pd.Series:
    """float64, NaN missing."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def as_texts(values: pd.Series) -> pd.Series:
    """`object`, None missing; parquet hands texts back as another type with NaN."""
    return values.astype(object).where(values.notna(), None)


def _feature_name(column: ColumnSpec, *, has_time: bool) -> str:
    if column.kind != "date":
        return column.name
    return f"{column.name}_age_days" if has_time else f"{column.name}_days"


def _feature(column: ColumnSpec, *, has_time: bool) -> Feature:
    is_date = column.kind == "date"
    # A later date is a smaller age: the demand on the direction turns round.
    monotone = -column.monotone if is_date and has_time else column.monotone
    return Feature(
        name=_feature_name(column, has_time=has_time),
        kind="number" if is_date else column.kind,
        categories=column.order if column.kind == "category" else (),
        is_ordered=bool(column.order) and column.kind == "category",
        monotone=monotone,
        meaning=column.meaning,
        unit="days" if is_date else column.unit,
        is_protected=column.is_protected,
    )


def _days(dates: pd.Series, time: pd.Series | None) -> pd.Series:
    """Days (with fractions) from each date to the row's time, or from 2000-01-01 to the date."""
    dates = pd.to_datetime(dates, errors="coerce")
    span = dates - DATE_ORIGIN if time is None else pd.to_datetime(time) - dates
    return (span / np.timedelta64(1, "D")).astype("float64")
