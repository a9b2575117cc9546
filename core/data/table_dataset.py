"""Table domains: a folder as typed rows, and rows of several domains as Samples in the target's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import batch_names, batch_path
from core.data.domain_rows import DomainRows
from core.data.findings import read_findings
from core.data.labels import label_word, read_labels
from core.data.late_label_rows import apply_late_labels
from core.data.late_labels import read_late_labels
from core.data.manifest import FINDING_PREFIX, finding_columns
from core.data.sample_ids import sample_ids_of, text_of_use
from core.data.samples import Samples
from core.data.table_features import feature_columns, feature_frame, feature_schema, has_time_column
from core.data.table_translation import link_columns, translate_columns
from core.data.typing_rows import type_rows
from core.errors import BadInputError, MissingArtifactError


def read_table_domain(folder: Path) -> DomainRows:
    """All batches of a table domain, typed by its domain.yaml, in the order in which they came.

    Labels that came late (`labels/<batch>.parquet`) stand in the place of those that the rows came with; `columns`
    keeps the label's text as it came.

    Raises:
        MissingArtifactError: no such domain (the nearest is named), or it has no rows folder.
        BadParamsError: domain.yaml is wrong.
        BadInputError: a feature column is absent, a key occurs twice, or the folder has another name than the domain.
    """
    folder = Path(folder)
    spec = read_domain_spec(folder)
    if spec.name != folder.name:
        raise BadInputError(
            f"The folder '{folder.name}' holds a domain.yaml of '{spec.name}'.",
            repair="Make the folder's name and `name` in domain.yaml equal.",
        )
    paths = [batch_path(folder, name) for name in batch_names(folder)]
    if not paths:
        raise MissingArtifactError(
            f"Domain '{spec.name}' has no rows ({folder / 'rows'} holds no parquet file).",
            repair="Run `crossdomain fetch` or `crossdomain import` for it.",
        )
    batches = [_read_batch(path, spec) for path in paths]
    manifest, columns, problems = (pd.concat(parts, ignore_index=True) for parts in zip(*batches, strict=True))
    repeated = manifest["sample_id"][manifest["sample_id"].duplicated()]
    if len(repeated):
        raise BadInputError(
            f"Domain '{spec.name}': {len(repeated)} rows repeat a key, for example {repeated.iloc[0]}.",
            repair="Keys must be unique over all batches: correct the rows, or set another column's use to key.",
        )
    manifest, late_problems = apply_late_labels(manifest, spec, read_late_labels(folder))
    if len(late_problems):
        problems = pd.concat([problems, late_problems], ignore_index=True)
    return DomainRows(spec=spec, manifest=manifest, columns=columns, problems=problems)


def _read_batch(path: Path, spec: DomainSpec) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Manifest, typed columns and problems of one parquet file of texts."""
    raw = pd.read_parquet(path)
    raw = raw.astype(object).where(raw.notna(), None)
    typed = type_rows(raw, spec)
    problems = typed.problems.assign(row=typed.problems["row"].astype("Int64"), count=1)
    labels, label_problems = _labels(raw, spec)
    findings, finding_problems = read_findings(raw, spec)
    untyped = _problem_frame([*label_problems, *finding_problems])
    problems = pd.concat([problems, untyped], ignore_index=True)
    problems.insert(0, "batch", path.stem)

    sample_ids = sample_ids_of(raw, spec, path.stem)
    group = text_of_use(raw, spec, "group")
    # Lenders number their borrowers each for itself: the domain keeps equal numbers apart.
    group = (f"{spec.name}/" + group).where(group.notna(), sample_ids)
    times = spec.with_use("time")
    time = typed.frame[times[0].name] if times else pd.Series(pd.NaT, index=range(len(raw)))
    manifest = pd.DataFrame(
        {
            "sample_id": sample_ids,
            "domain": spec.name,
            "label": labels,
            "group": group,
            "time": pd.to_datetime(time, errors="coerce").astype("datetime64[us]"),
            "batch": path.stem,
        }
    )
    manifest = manifest.assign(**_annotations(raw, typed.frame, spec, labels), **findings)
    return manifest, typed.frame, problems


def _labels(raw: pd.DataFrame, spec: DomainSpec) -> tuple[np.ndarray, list[tuple]]:
    """(N,) labels, and one problem a text that is no outcome (with its count)."""
    problems = []
    labels = np.full(len(raw), np.nan)
    name = spec.label_column
    if name is not None and name not in raw:
        problems.append((None, name, None, "the batch has no label column: unlabelled", len(raw)))
    elif name is not None:
        found = read_labels(raw[name], spec)
        labels = found.values
        if found.num_missing:
            problems.append((None, name, None, "label missing: unlabelled", found.num_missing))
        # What is no number stands among the typed column's problems, row by row.
        for text, count in () if spec.has_number_label else found.no_outcome.items():
            problems.append((None, name, text, "label neither positive nor negative: unlabelled", count))
    return labels, problems


def _problem_frame(problems: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(problems, columns=["row", "column", "value", "reason", "count"])
    return frame.astype({"row": "Int64", "value": object, "count": "int64"})


def _annotations(
    raw: pd.DataFrame, typed: pd.DataFrame, spec: DomainSpec, labels: np.ndarray
) -> dict[str, np.ndarray | pd.Series]:
    """What else the rows tell of their label: the labellers' grade, the label's word, and the split it came with."""
    found: dict[str, np.ndarray | pd.Series] = {}
    if graded := spec.with_use("label_probability"):
        grades = typed[graded[0].name].to_numpy(dtype=float)
        found["label_probability"] = np.where(np.isnan(labels) | (grades < 0) | (grades > 1), np.nan, grades)
    if len(spec.positive) > 1 and spec.label_column in raw:
        words = text_of_use(raw, spec, "label").map(label_word, na_action="ignore")
        found["kind"] = words.where(~np.isnan(labels), "")
    if spec.with_use("split"):
        found["given_split"] = text_of_use(raw, spec, "split")
    return found


def open_table_dataset(
    manifest: pd.DataFrame,
    columns_by_domain: Mapping[str, pd.DataFrame],
    specs: Mapping[str, DomainSpec],
    target_domain: str,
    *,
    use_protected: bool = True,
    drop_columns: Sequence[str] = (),
) -> Samples:
    """Rows of any domains as Samples in the target's schema, in the manifest's order.

    `columns_by_domain[d]` holds the rows that the manifest has of domain d, in its order. Scales and categories are
    fitted on rows whose split is `train` and on nothing else.

    Raises:
        BadInputError: a domain's columns and its manifest rows differ in number, or no column is left as a feature.
        BadParamsError: a dropped column does not exist.
    """
    manifest = manifest.reset_index(drop=True)
    target = specs[target_domain]
    chosen = feature_columns(target, use_protected=use_protected, drop_columns=drop_columns)
    if not chosen:
        raise BadInputError(
            f"Domain '{target_domain}' has no feature column left.",
            repair="Review the columns' `use` in domain.yaml and prepare.drop_columns.",
        )
    has_time = has_time_column(target)
    domains = manifest["domain"].to_numpy(dtype=object)
    is_train = (manifest["split"] == "train").to_numpy()
    target_rows = domains == target_domain
    target_columns = columns_by_domain[target_domain]
    frames, positions = [], []
    for domain in pd.unique(domains):
        rows = np.flatnonzero(domains == domain)
        columns = columns_by_domain[domain].reset_index(drop=True)
        if len(columns) != len(rows):
            raise BadInputError(
                f"Domain '{domain}' has {len(columns)} rows of columns but {len(rows)} manifest rows.",
                repair="Run prepare again.",
            )
        if domain != target_domain:
            columns = translate_columns(
                columns,
                link_columns(specs[domain], chosen, use_protected=use_protected),
                is_train=is_train[rows],
                target_train=target_columns.loc[is_train[target_rows]],
            )
        frames.append(feature_frame(columns, chosen, manifest["time"].iloc[rows], has_time=has_time))
        positions.append(rows)
    inputs = _in_order(frames, positions)
    schema = feature_schema(chosen, has_time=has_time).with_categories_of(inputs[is_train])
    told = finding_columns(manifest)
    return Samples(
        inputs=inputs,
        labels=manifest["label"].to_numpy(dtype=float),
        sample_ids=manifest["sample_id"].to_numpy(dtype=object),
        domains=domains,
        weights=np.ones(len(manifest)),
        groups=manifest["group"].to_numpy(dtype=object),
        schema=schema,
        label_probability=manifest["label_probability"].to_numpy(dtype=float)
        if "label_probability" in manifest
        else None,
        kinds=manifest["kind"].fillna("").to_numpy(dtype=object) if "kind" in manifest else None,
        findings=manifest[told].to_numpy(dtype=float),
        finding_names=tuple(name.removeprefix(FINDING_PREFIX) for name in told),
    )


def _in_order(frames: list[pd.DataFrame], positions: list[np.ndarray]) -> pd.DataFrame:
    """The frames' rows at their manifest positions, column types kept."""
    order = np.argsort(np.concatenate(positions), kind="stable")
    return pd.concat(frames, ignore_index=True).iloc[order].reset_index(drop=True)
