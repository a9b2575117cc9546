"""Take in a user's table as a domain, or as a further batch of one. Nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.declarations import (
    Declarations,
    check_declarations,
    check_number_label,
    check_time,
    declared_columns,
    label_words,
)
from core.data.domain import ColumnSpec, DomainSpec, read_domain_spec
from core.data.domain_folder import add_batch, check_name, create_domain_folder, sha256_of
from core.data.findings import finding_notes
from core.data.held_batches import has_batch
from core.data.known_rows import check_is_key, find_earlier_rows, find_key_problems
from core.data.labels import label_word, read_labels
from core.data.raw_table import RawTable, problem_frame
from core.data.reading import read_raw_table
from core.data.typing_rows import check_columns
from core.errors import BadInputError


@dataclass(frozen=True)
class ImportReport:
    """What was taken in: rows kept and left out, rows without an outcome, notes, and where it all stands."""

    num_rows: int
    num_quarantined: int
    notes: tuple[str, ...]
    folder: Path
    num_unlabelled: int = 0


def import_table(
    path: Path,
    data_folder: Path,
    vertical: str,
    domain: str,
    *,
    label: str | None = None,
    positive: str | Sequence[str] | None = None,
    time: str | None = None,
    group: str | None = None,
    text: Sequence[str] = (),
    protected: Sequence[str] = (),
    after_outcome: Sequence[str] = (),
    drop: Sequence[str] = (),
    finding: Sequence[str] = (),
    key: str | None = None,
    batch: str = "initial",
    concepts: Mapping[str, str] | None = None,
    complete_column: Callable[[ColumnSpec, pd.Series], ColumnSpec] | None = None,
    derive_columns: Callable[[DomainSpec], Sequence[ColumnSpec]] | None = None,
    date: str | None = None,
    is_number_label: bool = False,
) -> ImportReport:
    """Write `data_folder/vertical/domain/` from a table file; a known domain gets a further batch.

    The first import infers the columns and writes domain.yaml. A further one is held against that file, so the
    declarations are not repeated. `concepts`: column -> shared word of the vertical; `complete_column` lets a vertical
    fill in what it knows of an inferred column, `derive_columns` add ratios of them. `date`: noted in batches.json.
    `finding`: columns that say present, absent or unknown of one finding each. `is_number_label`: the label is a number
    to be predicted, not the word of a class.

    Raises:
        BadInputError: the file or a declaration is wrong, the batch is there already, or no row is left.
        MissingArtifactError: there is no such file.
    """
    path, folder = Path(path), Path(data_folder) / vertical / domain
    check_name(domain, "domain")
    check_name(batch, "batch")
    if has_batch(folder, batch):
        raise BadInputError(
            f"Domain '{domain}' has a batch '{batch}' already; it is not overwritten.",
            repair="Name the new one with --batch NAME, or choose another domain name.",
        )
    raw = read_raw_table(path)
    declared = Declarations(
        label=label,
        positive=(positive,) if isinstance(positive, str) else tuple(map(str, positive or ())),
        time=time,
        group=group,
        key=key,
        text=tuple(text),
        protected=tuple(protected),
        after_outcome=tuple(after_outcome),
        drop=tuple(drop),
        finding=tuple(dict.fromkeys(finding)),
        is_number_label=is_number_label,
    )
    check_declarations(declared, list(raw.frame.columns), file_name=path.name)
    is_known = (folder / "domain.yaml").exists()
    if is_known:
        spec = read_domain_spec(folder)
        notes = _check_further_batch(raw, spec, declared)
    else:
        spec, notes = _new_spec(raw, declared, vertical, domain, concepts or {})
        if complete_column is not None:
            columns = tuple(complete_column(column, raw.frame[column.name]) for column in spec.columns)
            spec = replace(spec, columns=columns)
        if derive_columns is not None:
            spec = replace(spec, columns=(*spec.columns, *derive_columns(spec)))
        spec = replace(spec, sha256=sha256_of(path), source=path.name)
    kept, quarantined, set_aside = _set_duplicates_aside(raw, spec, folder if is_known else None)
    label_notes, num_unlabelled = _label_notes(kept, spec, is_first=not is_known)
    label_notes += finding_notes(kept, spec, is_first=not is_known, noun="row")
    notes = [*raw.notes, *notes, *set_aside, *label_notes]
    if len(raw.problems):
        notes.append(f"{len(raw.problems):,} rows cannot be read and were quarantined.")
    entry = {"name": batch, "file": path.name, "sha256": sha256_of(path), "rows": len(kept)}
    entry |= {"quarantined": len(quarantined)} | ({"date": date} if date else {})
    if is_known:
        add_batch(folder, kept, quarantined, entry)
    else:
        create_domain_folder(folder, spec, kept, quarantined, entry)
    return ImportReport(len(kept), len(quarantined), tuple(notes), folder, num_unlabelled)


def _new_spec(
    raw: RawTable, declared: Declarations, vertical: str, domain: str, concepts: Mapping[str, str]
) -> tuple[DomainSpec, list[str]]:
    """A first domain.yaml from declarations and guesses."""
    columns, notes = declared_columns(raw.frame, declared)
    check_columns(raw.frame.columns, list(concepts), where="the concepts given")
    columns = tuple(replace(column, concept=concepts.get(column.name, "")) for column in columns)
    words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if declared.label is not None and declared.is_number_label:
        column = next(column for column in columns if column.use == "label")
        check_number_label(raw.frame[declared.label], column)
    elif declared.label is not None:
        *words, label_notes = label_words(raw.frame[declared.label], declared.label, declared.positive)
        notes += label_notes
    spec = DomainSpec(name=domain, vertical=vertical, columns=columns, positive=words[0], negative=words[1])
    if declared.time is not None:
        notes += check_time(raw.frame[declared.time], spec.column(declared.time))
    return spec, notes


def _check_further_batch(raw: RawTable, spec: DomainSpec, declared: Declarations) -> list[str]:
    """Hold a further batch against domain.yaml; notes on what differs.

    Raises:
        BadInputError: a column is missing, a declaration contradicts domain.yaml, or times do not parse.
    """
    optional = {"label", "finding", "ignore"}  # a batch may come before its outcomes are known
    required = [c.name for c in spec.raw_columns if c.use not in optional and not c.is_after_outcome]
    check_columns(raw.frame.columns, required, where=f"domain '{spec.name}'")
    told = [(use, getattr(declared, use)) for use in ("label", "time", "group", "key")]
    for use, wanted in (*told, *(("finding", name) for name in declared.finding)):
        actual = [column.name for column in spec.with_use(use)]
        if wanted is not None and wanted not in actual:
            raise BadInputError(
                f"--{use} {wanted} contradicts domain.yaml, where it is {', '.join(actual) or 'no column'}.",
                repair="Leave the option out, or edit domain.yaml.",
            )
    if declared.positive and {label_word(w) for w in declared.positive} != {label_word(w) for w in spec.positive}:
        raise BadInputError(
            f"--positive {', '.join(declared.positive)} contradicts domain.yaml ({', '.join(spec.positive)}).",
            repair="Leave the option out, or edit domain.yaml.",
        )
    known = {column.name for column in spec.raw_columns}
    notes = []
    if declared.text or declared.protected or declared.after_outcome or declared.drop:
        notes.append("The domain is known: --text, --protected, --after-outcome and --drop stay as in domain.yaml.")
    added = [name for name in raw.frame.columns if name not in known]
    if added:
        notes.append(f"New columns, kept but not used until domain.yaml has them: {', '.join(added)}.")
    absent = [c.name for c in spec.raw_columns if c.name not in raw.frame.columns]
    if absent:
        notes.append(f"Columns of the domain that this batch lacks: {', '.join(absent)}.")
    for column in spec.with_use("time"):
        notes += check_time(raw.frame[column.name], column)
    return notes


def _set_duplicates_aside(
    raw: RawTable, spec: DomainSpec, folder: Path | None
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """(rows kept, quarantined rows, notes)."""
    key_columns = spec.with_use("key")
    key = key_columns[0].name if key_columns else None
    reasons: dict[int, str] = {}
    if folder is not None:
        reasons |= find_earlier_rows(raw.frame, folder, key, [column.name for column in spec.raw_columns])
    if key is not None:
        keys = raw.frame[key].str.strip()
        keys = keys.where(keys != "")
        check_is_key(keys)
        reasons |= find_key_problems(keys, raw.lines)
    notes = []
    if reasons:
        notes.append(f"{len(reasons):,} rows without a key of their own or known already were quarantined.")
    elif key is None and raw.frame.duplicated().any():
        notes.append(f"{int(raw.frame.duplicated().sum()):,} rows equal an earlier row in every column; kept.")
    is_kept = ~np.isin(np.arange(len(raw.frame)), list(reasons))
    if not is_kept.any():
        raise BadInputError(
            f"No row is left: all {len(raw.frame):,} have no key or are known already "
            f"({next(iter(reasons.values()))}).",
            repair="Check that this is the new file.",
        )
    shown = raw.frame[key] if key else pd.Series("", index=raw.frame.index)
    duplicates = problem_frame(
        (int(raw.lines[row]), key or "", "" if pd.isna(shown.iloc[row]) else shown.iloc[row], reason)
        for row, reason in sorted(reasons.items())
    )
    quarantined = pd.concat([raw.problems, duplicates], ignore_index=True)
    kept = raw.frame[is_kept].reset_index(drop=True)
    return kept, quarantined.sort_values("row", kind="stable", ignore_index=True), notes


def _label_notes(frame: pd.DataFrame, spec: DomainSpec, *, is_first: bool) -> tuple[list[str], int]:
    """Notes on the outcomes of a batch, and how many rows have none.

    Raises:
        BadInputError: the first batch is left with one class, or one number, only.
    """
    if spec.label_column is None:
        return ["No label is declared: every row is unlabelled."], len(frame)
    if spec.label_column not in frame.columns:
        return [f"The batch has no '{spec.label_column}': every row is unlabelled."], len(frame)
    labels = read_labels(frame[spec.label_column], spec)
    known = labels.values[labels.is_labelled]
    if spec.has_number_label:
        notes = [
            f"{len(known):,} rows with a number, {known.min():g} to {known.max():g}." if len(known) else "No label."
        ]
    else:
        notes = [f"{int((known == 1).sum()):,} positive, {int((known == 0).sum()):,} negative rows."]
    if labels.num_missing:
        notes.append(f"{labels.num_missing:,} rows have no label; kept as unlabelled.")
    for word, count in labels.no_outcome.items():
        wanted = "number in the allowed range" if spec.has_number_label else "outcome"
        notes.append(f"{count:,} rows have the label '{word}', which is no {wanted}; kept as unlabelled.")
    if len(np.unique(known)) < 2:
        one, both = ("number", "different numbers") if spec.has_number_label else ("class", "both classes")
        if is_first:
            raise BadInputError(
                f"'{spec.label_column}' is left with one {one} only: {notes[0]}",
                repair="Give rows of both outcomes, or import without --label.",
            )
        notes.append(f"Careful: this batch does not hold {both}.")
    return notes, int((~labels.is_labelled).sum())
