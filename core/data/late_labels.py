"""Labels that come after their rows: `labels/<batch>.parquet` of a domain's folder, each batch added once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.artifacts import read_json, write_json, write_table
from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import check_name
from core.data.labels import label_word, read_labels
from core.data.sample_ids import domain_label_texts
from core.errors import BadInputError, did_you_mean

FOLDER, ORDER_FILE = "labels", "batches.json"
COLUMNS = ("sample_id", "label", "labelled_by", "labelled_at")


@dataclass(frozen=True)
class LateBatch:
    """What a batch of late labels holds. num_withdrawn: of the samples, those whose label is taken back."""

    name: str
    path: Path
    num_labels: int
    num_withdrawn: int


def add_late_labels(folder: Path, table: pd.DataFrame, batch: str) -> LateBatch:
    """Write `labels/<batch>.parquet` of a domain's folder, whole or not at all.

    table: N rows of sample_id, label (a word of domain.yaml; empty = withdrawn) and, where known, labelled_by and
    labelled_at (ISO text; without a zone it is UTC; left out, it is now). Earlier batches stay as they are.

    Raises:
        BadInputError: a column is missing, the table is empty, the batch is there already, a sample_id is unknown or
            told two labels, a label is neither positive nor negative, or a time cannot be read.
        MissingArtifactError: there is no such domain.
    """
    folder = Path(folder)
    check_name(batch, "batch")
    spec = read_domain_spec(folder)
    _refuse_known_batch(folder, batch)
    late = _checked(table, spec, set(domain_label_texts(folder, spec).index))
    path = _path(folder, batch)
    write_json(path.parent / ORDER_FILE, [*(name for name in _known_order(folder) if name != batch), batch])
    _refuse_known_batch(folder, batch)
    write_table(path, late)
    num_withdrawn = int((late["label"] == "").sum())
    return LateBatch(batch, path, len(late) - num_withdrawn, num_withdrawn)


def read_late_labels(folder: Path) -> pd.DataFrame:
    """One row a sample that a late label is told of: the columns of its file, and `batch`; the last batch wins.

    Raises:
        BadInputError: a file lacks a column.
    """
    return late_labels_without(folder, ())


def late_labels_without(folder: Path, left_out: Collection[str]) -> pd.DataFrame:
    """As `read_late_labels`, as if the batches `left_out` had never been added."""
    parts = [pd.DataFrame(columns=[*COLUMNS, "batch"], dtype=object)]
    for batch in late_batch_names(folder):
        if batch in left_out:
            continue
        path = _path(folder, batch)
        part = pd.read_parquet(path)
        absent = [name for name in COLUMNS if name not in part]
        if absent:
            raise BadInputError(
                f"{FOLDER}/{path.name} lacks the columns {', '.join(absent)}.",
                repair="Take the file away and add its labels by `crossdomain label`.",
            )
        parts.append(part[list(COLUMNS)].astype(object).fillna("").assign(batch=batch))
    every = pd.concat(parts, ignore_index=True)
    return every.drop_duplicates("sample_id", keep="last", ignore_index=True)


def late_batch_names(folder: Path) -> list[str]:
    """The batches in the order in which they were added; a file put there by hand comes last, by name."""
    present = sorted(path.stem for path in (Path(folder) / FOLDER).glob("[!.]*.parquet"))
    known = _known_order(folder)
    return [name for name in known if name in present] + [name for name in present if name not in known]


def label_words_of(spec: DomainSpec) -> dict[str, str]:
    """Each label of domain.yaml by the word that it is compared by, positive ones first."""
    return {label_word(text): text for text in (*spec.positive, *spec.negative)}


def _path(folder: Path, batch: str) -> Path:
    return Path(folder) / FOLDER / f"{batch}.parquet"


def _known_order(folder: Path) -> list[str]:
    path = Path(folder) / FOLDER / ORDER_FILE
    return read_json(path) if path.exists() else []


def _refuse_known_batch(folder: Path, batch: str) -> None:
    path = _path(folder, batch)
    if path.exists():
        count = len(pd.read_parquet(path, columns=["sample_id"]))
        raise BadInputError(
            f"Domain '{folder.name}' has a batch '{batch}' of {count:,} late labels already; it is not overwritten.",
            repair="Name the new one otherwise; its labels replace the earlier ones.",
        )


def _checked(table: pd.DataFrame, spec: DomainSpec, known_ids: set[str]) -> pd.DataFrame:
    """The table as it is stored: trimmed texts, labels in the words of domain.yaml, times in UTC, a row a sample."""
    absent = [name for name in COLUMNS[:2] if name not in table]
    if absent:
        raise BadInputError(
            f"The late labels lack the columns {', '.join(absent)}; they have {', '.join(map(str, table.columns))}.",
            repair="Give sample_id and label.",
        )
    if not len(table):
        raise BadInputError("There is no late label in the table.", repair="Give at least one row.")
    late = pd.DataFrame({name: _texts(table, name) for name in COLUMNS})
    _refuse_unknown_ids(late["sample_id"], spec, known_ids)
    late["label"] = _domain_words(late["label"], spec)
    late["labelled_at"] = _utc_texts(late["labelled_at"])
    twice = late.drop_duplicates(["sample_id", "label"])["sample_id"]
    twice = twice[twice.duplicated()]
    if len(twice):
        raise BadInputError(
            f"{len(twice):,} samples are told two labels, for example {twice.iloc[0]}.", repair="Keep one of them."
        )
    return late.drop_duplicates("sample_id", keep="last", ignore_index=True)


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    if name not in table:
        return [""] * len(table)
    return ["" if pd.isna(value) else str(value).strip() for value in table[name]]


def _refuse_unknown_ids(sample_ids: pd.Series, spec: DomainSpec, known_ids: set[str]) -> None:
    unknown = sample_ids[~sample_ids.isin(known_ids)]
    if len(unknown):
        known = sorted(known_ids)
        shape = f"They look like {known[0]}" if known else "It has no rows"
        raise BadInputError(
            f"Domain '{spec.name}' has no sample of {len(unknown):,} of the {len(sample_ids):,} ids, for example"
            f" '{unknown.iloc[0]}'.",
            repair=f"{shape}; correct the ids, or import their rows first.",
        )


def _domain_words(labels: pd.Series, spec: DomainSpec) -> pd.Series:
    """The labels in the words of domain.yaml, numbers as they came.

    Raises:
        BadInputError: a label is none of the words, or no allowed number.
    """
    if spec.has_number_label:
        strange = labels[(labels != "") & ~read_labels(labels, spec).is_labelled]
        if len(strange):
            raise BadInputError(
                f"{len(strange):,} labels are no allowed number in domain '{spec.name}', for example"
                f" '{strange.iloc[0]}'.",
                repair="Correct them. An empty label withdraws one.",
            )
        return labels
    words = label_words_of(spec)
    if not words:
        raise BadInputError(
            f"Domain '{spec.name}' does not say which labels there are.",
            repair="Set `positive` and `negative` in its domain.yaml.",
        )
    found = labels.map(lambda text: words.get(label_word(text)) if text else "")
    strange = labels[found.isna()]
    if len(strange):
        raise BadInputError(
            f"{len(strange):,} labels are neither positive nor negative in domain '{spec.name}', for example"
            f" '{strange.iloc[0]}'.",
            repair=did_you_mean(strange.iloc[0], words.values()) + " An empty label withdraws one.",
        )
    return found


def _utc_texts(times: pd.Series) -> pd.Series:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    parsed = pd.to_datetime(times.where(times != "", now), format="ISO8601", errors="coerce", utc=True)
    if parsed.isna().any():
        example = times[parsed.isna()].iloc[0]
        raise BadInputError(
            f"{int(parsed.isna().sum()):,} texts of labelled_at are no ISO time, for example '{example}'.",
            repair="Write them as 2026-11-30T14:05:00+00:00.",
        )
    return parsed.map(lambda time: time.isoformat(timespec="seconds")).astype(object)
