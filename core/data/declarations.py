"""What a user declares of a table's columns on import, and the combinations that make no sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec
from core.data.inference import infer_column
from core.data.labels import label_word
from core.data.typing_rows import check_columns, parse_dates, type_column
from core.errors import BadInputError, did_you_mean

MIN_TIME_SHARE = 0.95  # of the known times must parse
MIN_NUMBER_SHARE = 0.95  # of the known labels, where they are numbers
DEFAULT_POSITIVES = ("1", "1.0", "true", "yes", "bad", "default", "y")


@dataclass(frozen=True)
class Declarations:
    """Columns by what they are for. A column in `drop` is kept in the files and ignored.

    is_number_label: the label is a number to be predicted, not the word of a class.
    """

    label: str | None = None
    positive: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    key: str | None = None
    text: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    after_outcome: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    is_number_label: bool = False

    def roles(self) -> dict[str, list[str]]:
        """Column -> the options that name it."""
        named: dict[str, list[str]] = {}
        for role in ("label", "time", "group", "key"):
            column = getattr(self, role)
            if column is not None:
                named.setdefault(column, []).append(role)
        for role in ("text", "protected", "after_outcome", "drop", "finding"):
            for column in getattr(self, role):
                named.setdefault(column, []).append(role)
        return named


ALLOWED_TOGETHER = (
    {"drop", "after_outcome", "protected"},
    {"text", "protected", "after_outcome"},
    {"protected", "group"},
    {"drop", "key"},  # a key is no feature anyway
    {"key", "group"},  # one row a borrower
)


def check_declarations(declared: Declarations, columns: Sequence[str], *, file_name: str) -> None:
    """Raise BadInputError for a column that the file lacks, or options that contradict each other."""
    check_columns(columns, list(declared.roles()), where=f"the options for {file_name}")
    for column, roles in declared.roles().items():
        if len(set(roles)) > 1 and not any(set(roles) <= together for together in ALLOWED_TOGETHER):
            options = " and ".join(f"--{role.replace('_', '-')}" for role in roles)
            raise BadInputError(
                f"The column '{column}' cannot be declared {options} at once.", repair="Keep one of them."
            )
    if declared.positive and declared.label is None:
        raise BadInputError("--positive is given without --label.", repair="Name the label column.")
    if declared.positive and declared.is_number_label:
        raise BadInputError(
            "--positive is for classes; here the label is a number that is predicted.", repair="Leave --positive out."
        )


def declared_columns(frame: pd.DataFrame, declared: Declarations) -> tuple[tuple[ColumnSpec, ...], list[str]]:
    """Every column of the file as a ColumnSpec: declared where declared, else inferred; and the notes."""
    columns, notes = [], []
    kinds = {name: "text" for name in declared.text}
    for name in (declared.label, declared.group, declared.key, *declared.finding):
        if name is not None:
            kinds[name] = "category"
    if declared.label is not None and declared.is_number_label:
        kinds[declared.label] = "number"
    if declared.time is not None:
        kinds[declared.time] = "date"
    uses = {declared.time: "time", declared.group: "group", declared.key: "key", declared.label: "label"}
    uses |= dict.fromkeys(declared.finding, "finding")
    for name in frame.columns:
        guess = infer_column(name, frame[name], kind=kinds.get(name))
        use = uses.get(name) or ("ignore" if name in declared.drop else guess.column.use)
        if name not in declared.roles():
            notes += guess.notes
        columns.append(
            replace(
                guess.column,
                use=use,
                is_protected=name in declared.protected,
                is_after_outcome=name in declared.after_outcome,
            )
        )
    return tuple(columns), notes


def label_words(
    texts: pd.Series, column: str, positive: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """(positive words, negative words, notes) of a label column.

    Raises:
        BadInputError: no label at all, one class only, a positive value that is not there, or nothing to tell by.
    """
    counts = Counter(label_word(text) for text in texts.dropna() if str(text).strip())
    shown = ", ".join(f"'{word}' ({count:,} rows)" for word, count in counts.most_common(8))
    if not counts:
        raise BadInputError(
            f"The label column '{column}' is empty.", repair="Import the table without --label, or fill it."
        )
    if len(counts) == 1:
        raise BadInputError(
            f"The label column '{column}' holds one class only: {shown}.",
            repair="Give rows of both outcomes, or import without --label.",
        )
    notes = []
    wanted = [label_word(word) for word in positive]
    if not wanted:
        wanted = [word for word in counts if word.lower() in DEFAULT_POSITIVES]
        if len(wanted) != 1 or len(counts) != 2:
            raise BadInputError(
                f"Which value of '{column}' is the positive outcome? It holds {shown}.",
                repair="Say --positive VALUE.",
            )
        notes.append(f"'{wanted[0]}' of '{column}' is taken as the positive outcome.")
    for word in wanted:
        if word not in counts:
            raise BadInputError(
                f"The positive value '{word}' does not occur in '{column}'; it holds {shown}.",
                repair=did_you_mean(word, counts),
            )
    negative = tuple(sorted(set(counts) - set(wanted)))
    if not negative:
        raise BadInputError(f"Every value of '{column}' is declared positive: {shown}.")
    if len(negative) > 1:
        notes.append(
            f"'{column}' has {len(counts)} values; {', '.join(negative[:8])} count as negative. Take out of `negative` "
            "in domain.yaml what is no final outcome."
        )
    return tuple(wanted), negative, notes


def check_number_label(texts: pd.Series, column: ColumnSpec) -> None:
    """Whether a label column can be one of numbers.

    Raises:
        BadInputError: no label at all, too few that are numbers (examples and the share are named), or one number only.
    """
    values, problems = type_column(texts.to_numpy(dtype=object), column)
    num_bad, numbers = len(problems), values[~np.isnan(values)]
    if not num_bad and not len(numbers):
        raise BadInputError(
            f"The label column '{column.name}' is empty.", repair="Import the table without --label, or fill it."
        )
    examples = ", ".join(repr(str(text)) for text in problems["value"].unique()[:3])
    if len(numbers) < MIN_NUMBER_SHARE * (len(numbers) + num_bad):
        raise BadInputError(
            f"The label column '{column.name}' does not hold numbers: {num_bad:,} of {len(numbers) + num_bad:,} values"
            f" fail, such as {examples}.",
            repair="Choose another --label, or correct the file.",
        )
    if len(np.unique(numbers)) == 1:
        raise BadInputError(
            f"The label column '{column.name}' holds one number only: {numbers[0]:g}.",
            repair="Give rows with other labels, or import without --label.",
        )


def check_time(texts: pd.Series, column: ColumnSpec) -> list[str]:
    """Notes on times that do not parse.

    Raises:
        BadInputError: too few of them parse; examples and the share are named.
    """
    values = texts.to_numpy(dtype=object)
    is_unreadable = parse_dates(values, column.date_format)[1]
    num_known = int((~pd.isna(values)).sum())
    if not num_known:
        raise BadInputError(f"The time column '{column.name}' is empty.", repair="Import it without --time.")
    num_bad = int(is_unreadable.sum())
    examples = ", ".join(repr(str(text)) for text in pd.unique(values[is_unreadable])[:3])
    if 1 - num_bad / num_known < MIN_TIME_SHARE:
        raise BadInputError(
            f"The time column '{column.name}' does not parse as dates: {num_bad:,} of {num_known:,} values "
            f"({num_bad / num_known:.0%}) fail, such as {examples}.",
            repair="Write dates as YYYY-MM-DD, or choose another --time.",
        )
    notes = [f"{num_bad} times of '{column.name}' do not parse, such as {examples}."] if num_bad else []
    num_missing = len(values) - num_known
    if num_missing:
        notes.append(f"{num_missing} rows have no time in '{column.name}'.")
    return notes
