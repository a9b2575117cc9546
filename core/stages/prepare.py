"""Stage `prepare`: raw domains -> manifest, typed columns, domain.yaml as used, data report, problems."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from core.artifacts import Artifacts, replacing_folder, write_json, write_table
from core.data.chosen_domains import chosen_folders
from core.data.domain import ColumnSpec, DomainSpec
from core.data.domain_rows import DomainRows
from core.data.label_budget import mask_labels
from core.data.label_strata import label_strata
from core.data.leakage import Suspect, find_suspects, refuse_after_outcome
from core.data.manifest import (
    LEARNED_SPLITS,
    MANIFEST_COLUMNS,
    OPTIONAL_COLUMNS,
    SLICE_PREFIX,
    check_manifest,
    finding_columns,
)
from core.data.prepared import specs_to_plain
from core.data.quality import (
    describe_columns,
    describe_domain,
    describe_problems,
    describe_shift,
    describe_splits,
    describe_ties,
    describe_translation,
)
from core.data.splits import Split, split_rows
from core.data.table_features import feature_columns
from core.errors import BadInputError, BadParamsError, did_you_mean
from core.images.spec import ImageSpec
from core.params import VerticalParams
from core.vertical import Vertical

MAX_SLICE_VALUES = 12
PROBLEM_COLUMNS = ["domain", "batch", "row", "column", "value", "reason", "count"]


@dataclass(frozen=True)
class Pictures:
    """The pictures of one domain, still in its archive."""

    domain_folder: Path
    spec: DomainSpec
    rows: DomainRows

    def write(self, folder: Path) -> None:
        """Decode and fit every picture and every mask, once."""
        from core.images.store import write_masks, write_pixels

        write_pixels(folder, self.domain_folder, self.spec, list(self.rows.columns[self.spec.image_column.name]))
        masks = [column.name for column in self.spec.with_use("annotation") if column.kind == "mask"]
        if masks:
            cells = list(self.rows.columns[masks[0]])
            write_masks(folder, self.domain_folder, self.spec, cells, list(self.rows.manifest["sample_id"]))


def prepare(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int, data_folder: Path) -> None:
    """Read the domains below `data_folder/<vertical>`, split, mask, check, and write `artifacts/<vertical>/prepare/`.

    Everything is worked out before the first file is replaced. What is written holds no masked label: the label and
    the columns known after the outcome are not among the prepared columns.

    Raises:
        BadParamsError: impossible parameters, an unknown column to drop or to slice by.
        MissingArtifactError: a domain is not there; the nearest is named.
        BadInputError: rows that cannot serve (no rows, no labels, one class, repeated keys, ...), or a domain labelled
            with classes where the vertical predicts a number, or the other way round.
    """
    target = params.prepare.target_domain
    if vertical.predicts_number and params.prepare.split.method == "good_only":
        raise BadParamsError(
            f"prepare.split.method 'good_only' is for classes; {vertical.name} predicts a number.",
            repair="Choose another method.",
        )
    rows = _read_domains(vertical, params, data_folder)
    slices = _slice_columns(rows[target], params)
    splits = {
        name: split_rows(_with_strata(domain.manifest, vertical), params.prepare.split, seed, has_test=name == target)
        for name, domain in rows.items()
    }
    manifest = _build_manifest(vertical, rows, splits, slices, params, seed=seed)
    is_temporal = splits[target].method == "temporal"
    check_manifest(
        manifest,
        num_classes=None if vertical.predicts_number else len(vertical.classes),
        temporal_domain=target if is_temporal else None,
    )
    of_domain = {name: manifest[manifest["domain"] == name].reset_index(drop=True) for name in rows}
    suspects = [s for name in rows for s in find_suspects(rows[name].spec, of_domain[name], rows[name].columns)]
    target_image = rows[target].spec.image_column
    image = params.prepare.image or (target_image.image if target_image is not None else None)
    specs = {name: _effective_spec(rows[name].spec, params, suspects, target, image) for name in rows}
    columns = {name: rows[name].columns[[c.name for c in feature_columns(specs[name])]] for name in rows}
    samples = vertical.open_dataset(manifest, columns, specs, target, use_protected=params.prepare.use_protected)
    problems = pd.concat([domain.problems.assign(domain=name) for name, domain in rows.items()], ignore_index=True)[
        PROBLEM_COLUMNS
    ]
    told = [{**vars(s), "is_dropped": s.is_strong and params.prepare.drop_suspects} for s in suspects]
    translation = describe_translation(specs, target, use_protected=params.prepare.use_protected)
    report = {
        "vertical": vertical.name,
        "target_domain": target,
        "source_domains": list(params.prepare.source_domains),
        "seed": seed,
        "data_sha256": {name: _folder_sha256(data_folder / vertical.name / name) for name in rows},
        "split": {name: split.report for name, split in splits.items()},
        "label_budget": _describe_budget(of_domain[target], params),
        "splits": describe_splits(manifest, is_number=vertical.predicts_number),
        "features": samples.schema.to_dict()["features"],
        "slices": slices,
        "leakage_suspects": [suspect for suspect in told if suspect["domain"] == target],
        "source_leakage_suspects": [suspect for suspect in told if suspect["domain"] != target],
        "columns": describe_columns(rows[target]),
        "source_columns": {name: describe_columns(rows[name]) for name in rows if name != target},
        "problems": describe_problems(problems),
        "domains": {name: describe_domain(rows[name], of_domain[name]) for name in rows},
        "translation": translation,
        "ties": describe_ties(translation),
        "shift": describe_shift(samples, manifest["split"].to_numpy(), target),
    }
    pictures = {
        name: Pictures(data_folder / vertical.name / name, specs[name], rows[name])
        for name in rows
        if specs[name].image_column is not None
    }
    _write(artifacts, manifest, columns, specs, report, problems, pictures)
    _tell(report, told)


def _with_strata(manifest: pd.DataFrame, vertical: Vertical) -> pd.DataFrame:
    """The manifest with what a split keeps the shares of in the place of its labels."""
    return manifest.assign(label=label_strata(manifest["label"], is_number=vertical.predicts_number))


def _build_manifest(
    vertical: Vertical,
    rows: dict[str, DomainRows],
    splits: dict[str, Split],
    slices: list[str],
    params: VerticalParams,
    *,
    seed: int,
) -> pd.DataFrame:
    """Target rows first, then each source's; target labels beyond the budget are masked; slices of target rows only."""
    target = params.prepare.target_domain
    parts = []
    for name, domain in rows.items():
        part = domain.manifest.assign(split=splits[name].names)
        if name == target:
            trained = part.loc[part["split"].isin(LEARNED_SPLITS), "label"].dropna()
            is_good_only = domain.spec.image_column is not None and len(trained) > 0 and bool((trained == 0).all())
            _check_target_splits(part, vertical, target, is_good_only=is_good_only)
        budget = params.prepare.label_budget if name == target else None
        parts.append(mask_labels(part, budget, seed, is_number=vertical.predicts_number))
    manifest = pd.concat(parts, ignore_index=True)
    told = [name for name in OPTIONAL_COLUMNS if name in manifest and name != "given_split"]
    manifest = manifest[[*MANIFEST_COLUMNS, *told, *finding_columns(manifest)]]
    for column in slices:
        values = rows[target].columns[column].reset_index(drop=True)
        manifest[f"{SLICE_PREFIX}{column}"] = values.reindex(range(len(manifest)))
    return manifest


def _read_domains(vertical: Vertical, params: VerticalParams, data_folder: Path) -> dict[str, DomainRows]:
    """The target first, then the sources; each has rows and labels of every class."""
    target, sources = params.prepare.target_domain, params.prepare.source_domains
    folders = chosen_folders(vertical.name, target, sources, data_folder, demo_domains=vertical.demo_domains)
    rows = {}
    for name, folder in folders.items():
        rows[name] = vertical.read_domain(folder)
        _check_labels(rows[name], vertical)
    return rows


def _check_labels(rows: DomainRows, vertical: Vertical) -> None:
    """Refuse a domain that nothing can be learned from or measured on."""
    name = rows.spec.name
    if len(rows) == 0:
        raise BadInputError(f"Domain '{name}' has no rows.", repair="Import rows, or choose another domain.")
    counts = rows.manifest["label"].value_counts()
    if rows.spec.label_column is None and len(counts) == 0:
        raise BadInputError(
            f"Domain '{name}' has no label column.",
            repair="Set `use: label` and `positive` in its domain.yaml, bring its labels by `crossdomain label`, or"
            " choose another domain.",
        )
    if rows.spec.label_column is not None and rows.spec.has_number_label != vertical.predicts_number:
        is_number = vertical.predicts_number
        raise BadInputError(
            f"{vertical.name} predicts {'a number' if is_number else 'a class'}, and the label"
            f" '{rows.spec.label_column}' of domain '{name}' is {'none' if is_number else 'a number'}.",
            repair="Set its kind to number in domain.yaml, without `positive` and `negative`."
            if is_number
            else "Set its kind to category in domain.yaml, with `positive` and `negative`, or choose another domain.",
        )
    if len(counts) == 0:
        raise BadInputError(
            f"Domain '{name}' has {len(rows)} rows and not one label.",
            repair=f"Check its domain.yaml against column '{rows.spec.label_column}'.",
        )
    if vertical.predicts_number:
        if len(counts) < 2:
            raise BadInputError(
                f"All {int(counts.iloc[0])} labels of domain '{name}' are {counts.index[0]:g}.",
                repair="Add rows with other labels; from one number nothing can be learned.",
            )
    elif len(counts) < 2 and not (rows.spec.image_column is not None and counts.index[0] == 0):
        only = vertical.classes[int(counts.index[0])]
        raise BadInputError(
            f"All {int(counts.iloc[0])} labelled rows of domain '{name}' are of one class ('{only}').",
            repair="Add rows of the other class, or check `positive` and `negative` in its domain.yaml.",
        )


def _check_target_splits(manifest: pd.DataFrame, vertical: Vertical, target: str, *, is_good_only: bool) -> None:
    """Both classes among the test rows, and, unless good rows are all that is trained on, among those that train.

    Two different numbers where those are predicted.
    """
    wanted = "number" if vertical.predicts_number else "class"
    for names in (("test",), *(() if is_good_only else (("train", "valid"),))):
        labels = manifest.loc[manifest["split"].isin(names), "label"].dropna()
        if labels.nunique() < 2:
            raise BadInputError(
                f"The {' and '.join(names)} rows of '{target}' hold {len(labels)} labels of {labels.nunique()}"
                f" {wanted}(s); two are needed.",
                repair="Change prepare.split (fractions, method or test_from), or add rows.",
            )


def _slice_columns(rows: DomainRows, params: VerticalParams) -> list[str]:
    """Target columns that evaluation slices by: those in params, else the protected ones.

    A column known only after the outcome, or a finding, would carry masked labels into the manifest.
    """
    for name in params.evaluate.slices:
        if name not in rows.columns:
            raise BadParamsError(
                f"evaluate.slices: domain '{rows.spec.name}' has no column '{name}'.",
                repair=did_you_mean(name, rows.columns),
            )
    refuse_after_outcome(rows.spec, params.evaluate.slices)
    for column in (*rows.spec.with_use("label"), *rows.spec.with_use("finding")):
        if column.name in params.evaluate.slices:
            raise BadParamsError(
                f"evaluate.slices: '{column.name}' is a {column.use}.", repair="Slice by another column."
            )
    return list(params.evaluate.slices) or [
        c.name
        for c in rows.spec.columns
        if (c.is_protected and not c.is_after_outcome and c.use not in ("label", "finding"))
        or _describes_picture(c, rows)
    ]


def _describes_picture(column: ColumnSpec, rows: DomainRows) -> bool:
    """Whether a column tells pictures apart into a few kinds (exposure, cell type): no feature, but a slice."""
    if rows.spec.image_column is None or column.use != "ignore" or column.kind != "category":
        return False
    return 2 <= rows.columns[column.name].nunique() <= MAX_SLICE_VALUES


def _effective_spec(
    spec: DomainSpec, params: VerticalParams, suspects: list[Suspect], target: str, image: ImageSpec | None
) -> DomainSpec:
    """The domain with `ignore` as the use of every feature that is taken out: nobody has to deliver it any more.

    Pictures of all domains are fitted as params say, or else as the target's domain.yaml does.
    """
    dropped = set(params.prepare.drop_columns) if spec.name == target else set()
    kept = {
        column.name
        for column in feature_columns(spec, use_protected=params.prepare.use_protected, drop_columns=sorted(dropped))
    }
    if params.prepare.drop_suspects:
        kept -= {s.column for s in suspects if s.domain == spec.name and s.is_strong}
    columns = (
        replace(column, use="ignore") if column.use == "feature" and column.name not in kept else column
        for column in spec.columns
    )
    columns = (replace(column, image=image) if column.kind == "image" else column for column in columns)
    return replace(spec, columns=tuple(columns))


def _describe_budget(manifest: pd.DataFrame, params: VerticalParams) -> dict[str, Any]:
    is_open = manifest["split"].isin(LEARNED_SPLITS)
    return {
        "asked": params.prepare.label_budget,
        "given": int(manifest.loc[is_open, "label"].notna().sum()),
        "masked": int(manifest["is_masked"].sum()),
    }


def _folder_sha256(folder: Path) -> str:
    """One checksum of domain.yaml and all batches of rows, pictures and late labels, names included."""
    digest = hashlib.sha256()
    raw = [path for part in ("rows", "images", "labels") for path in sorted((folder / part).rglob("*"))]
    for path in [folder / "domain.yaml", *raw]:
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _write(
    artifacts: Artifacts,
    manifest: pd.DataFrame,
    columns: dict[str, pd.DataFrame],
    specs: dict[str, DomainSpec],
    report: dict[str, Any],
    problems: pd.DataFrame,
    pictures: dict[str, Pictures],
) -> None:
    """Each file whole or not at all; the manifest, which the others belong to, last."""
    with replacing_folder(artifacts.path("prepare", "columns")) as folder:
        for name, frame in columns.items():
            frame.to_parquet(folder / f"columns_{name}.parquet", index=False)
        for found in pictures.values():
            found.write(folder)
    write_json(artifacts.path("prepare", "specs.json"), specs_to_plain(specs))
    write_json(artifacts.path("prepare", "data_report.json"), report)
    write_table(artifacts.path("prepare", "problems.csv"), problems)
    write_table(artifacts.path("prepare", "manifest.parquet"), manifest)


def _tell(report: dict[str, Any], suspects: list[dict[str, Any]]) -> None:
    """What a person should see without opening the report."""
    for name, split in report["split"].items():
        counts = ", ".join(f"{count} {part}" for part, count in split["rows"].items() if count)
        print(f"prepare: {name}: {counts} ({split['method']})", flush=True)
    for tie in report["ties"]:
        told = tie["note"] or f"has {tie['tied']} of the target's {tie['of']} columns"
        print(f"prepare: {tie['source']}: {told}", flush=True)
    for problem in report["problems"]:
        print(f"prepare: {problem['domain']}.{problem['column']}: {problem['count']} x {problem['reason']}", flush=True)
    for suspect in suspects:
        fate = "dropped" if suspect["is_dropped"] else "kept"
        print(
            f"prepare: suspect {suspect['domain']}.{suspect['column']} ({fate}):"
            f" {suspect['reason']} {suspect['number']:.3f}",
            flush=True,
        )
