"""A table as it came, read as a delivery of one market: the columns by their role, the dates as days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.data.domain import DomainSpec
from core.data.raw_table import RawTable
from core.data.typing_rows import check_columns, type_rows
from core.errors import BadInputError
from core.prices.columns import choose_columns, column_specs, option
from core.prices.days import calendar_days
from core.prices.delivery import Delivery
from core.prices.market import PERCENT, RETURNS, market_frame


@dataclass(frozen=True)
class MarketOptions:
    """What the user told: role -> column, what the returns are, whose calendar counts, and whether jumps stay."""

    columns: Mapping[str, str] = field(default_factory=dict)
    returns: str | None = None
    unit: str | None = None
    zone: str | None = None
    keep_jumps: bool = False


def read_delivery(
    raw: RawTable, known: DomainSpec | None, domain: str, options: MarketOptions, *, vertical: str
) -> tuple[Delivery, list[str]]:
    """(the rows by role, notes); `known` is the domain.yaml that a further batch is held against.

    Raises:
        BadInputError: a column or an option is wrong or contradicts domain.yaml, returns without `returns` and `unit`,
            or dates that are none.
    """
    if known is None:
        chosen, notes = choose_columns(list(raw.frame.columns), options.columns)
        _check_return_options(chosen, options)
    else:
        chosen, notes = columns_by_role(known), []
        _check_further(raw, known, chosen, options)
    date = chosen["date"]
    date_format = None if known is None else known.column(date).date_format
    days = calendar_days(raw.frame[date], date, date_format=date_format, zone=options.zone)
    spec = known or DomainSpec(
        name=domain,
        vertical=vertical,
        columns=column_specs(
            raw.frame,
            chosen,
            date_format=days.date_format,
            returns=options.returns or "",
            unit=options.unit or "",
        ),
    )
    texts = np.where(np.isnat(days.days), None, days.days.astype(str).astype(object))
    frame = raw.frame.assign(**{date: texts})
    typed = type_rows(frame, spec)
    market = market_frame(typed.frame, spec)
    return Delivery(raw, spec, frame, market, days.times), [*notes, *days.notes, *typed.notes]


def columns_by_role(spec: DomainSpec) -> dict[str, str]:
    """role -> column of a domain.yaml; both kinds of return have the role `return`."""
    columns = {"date": spec.with_use("time")[0].name}
    for column in spec.with_use("feature"):
        columns["return" if column.concept in RETURNS else column.concept] = column.name
    return columns


def _check_return_options(chosen: Mapping[str, str], options: MarketOptions) -> None:
    """Returns need their kind and unit told; prices take neither."""
    told = {"--returns": options.returns, "--unit": options.unit}
    if "return" not in chosen:
        if any(told.values()):
            raise BadInputError(
                "--returns and --unit are told, but the table is read as prices.",
                repair="Leave them out, or name the column with --return COLUMN.",
            )
        return
    allowed = {"--returns": ("simple", "log"), "--unit": tuple(PERCENT)}
    for name, choices in allowed.items():
        if told[name] not in choices:
            raise BadInputError(
                f"'{chosen['return']}' holds returns, and {name} is {told[name] or 'not told'}.",
                repair=f"Say {name} {' or '.join(choices)}.",
            )


def _check_further(raw: RawTable, known: DomainSpec, chosen: Mapping[str, str], options: MarketOptions) -> None:
    """Hold a further batch against domain.yaml: its columns must be there, and options may only repeat it."""
    check_columns(raw.frame.columns, list(chosen.values()), where=f"domain '{known.name}'")
    actual = {option(role): column for role, column in chosen.items()}
    told = {option(role): column for role, column in options.columns.items()}
    if "return" in chosen:
        column = known.column(chosen["return"])
        actual |= {"--returns": column.concept.removesuffix("_return"), "--unit": column.unit}
    told |= {name: value for name, value in (("--returns", options.returns), ("--unit", options.unit)) if value}
    for name, value in told.items():
        if actual.get(name) != value:
            raise BadInputError(
                f"{name} {value} contradicts domain.yaml, where it is {actual.get(name, 'not known')}.",
                repair="Leave the option out, or edit domain.yaml.",
            )
