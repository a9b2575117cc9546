"""Take in pictures as a domain, or as a further batch of one. Nothing is dropped in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from core.data.declarations import Declarations, check_time
from core.data.domain import DomainSpec, read_domain_spec, write_domain_spec
from core.data.domain_folder import add_batch, check_name, create_domain_folder, sha256_of
from core.data.findings import finding_notes
from core.data.held_batches import has_batch
from core.data.importing import ImportReport
from core.data.raw_table import problem_frame
from core.data.typing_rows import check_columns
from core.errors import BadInputError
from core.images.archive import archive_path, write_archive
from core.images.checking import PictureCheck, check_pictures, print_progress
from core.images.import_notes import check_notes, label_notes, new_column_notes
from core.images.layouts import Layout, Listing, find_pictures
from core.images.picture_columns import (
    IMAGE,
    PictureColumns,
    choose_columns,
    column_specs,
    extended_words,
    label_words,
)
from core.images.picture_rows import check_new_keys, kept_rows, known_pictures, read_files, with_clean_paths
from core.images.spec import ImageSpec
from core.images.unpacking import unpacked


@dataclass(frozen=True)
class ImportOptions:
    """How `import_images` was called: the words for the classes, the batch, and the square that learners will see."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    batch: str
    colour: Literal["grey", "rgb"] | None
    size_px: int | None
    fit: Literal["squash", "pad"] | None
    date: str | None


def import_images(
    path: Path,
    data_folder: Path,
    vertical: str,
    domain: str,
    *,
    label: str | None = None,
    positive: str | Sequence[str] | None = None,
    negative: str | Sequence[str] | None = None,
    group: str | None = None,
    split: str | None = None,
    mask: str | None = None,
    time: str | None = None,
    key: str | None = None,
    file: str | None = None,
    label_probability: str | None = None,
    protected: Sequence[str] = (),
    after_outcome: Sequence[str] = (),
    drop: Sequence[str] = (),
    finding: Sequence[str] = (),
    text: Sequence[str] = (),
    layout: Layout = "auto",
    batch: str = "initial",
    colour: Literal["grey", "rgb"] | None = None,
    size_px: int | None = None,
    fit: Literal["squash", "pad"] | None = None,
    date: str | None = None,
    refused: Sequence[tuple[str, str]] = (),
    report: Callable[[str], None] = print_progress,
) -> ImportReport:
    """Write `data_folder/vertical/domain/` from pictures on disk; a known domain gets a further batch.

    path: a folder with `labels.csv`, the list itself, class folders, `train/good` with `test/<defect>` and
    `ground_truth/`, or a zip or tar of one of these. Columns are named by `label` (default `label`), `file` (default
    `file`, paths relative to the list), `mask` (default `mask` where there is one), `group`, `split`, `time`, `key`;
    the others are kept to slice by. Labels in `negative` (default: the usual words for good) are good, those in
    `positive` (default: the rest) defects. `finding`: columns that say present, absent or unknown of one finding each.
    `colour`: default by the pictures. `refused`: (name, reason) of files that
    an earlier step set aside; they are quarantined and counted with the others. `text`: none may be told.

    Raises:
        BadInputError: the list or a declaration is wrong, the batch is there already, no picture is left, all are
            the same, or none is good.
        MissingArtifactError: there is no such path.
    """
    refuse_text(text)
    path, folder = Path(path), Path(data_folder) / vertical / domain
    check_name(domain, "domain")
    check_name(batch, "batch")
    if has_batch(folder, batch):
        raise BadInputError(
            f"Domain '{domain}' has a batch '{batch}' already; it is not overwritten.",
            repair="Name the new one with --batch NAME, or choose another domain name.",
        )
    declared = Declarations(
        label=label,
        time=time,
        group=group,
        key=key,
        protected=tuple(protected),
        after_outcome=tuple(after_outcome),
        drop=tuple(drop),
        finding=tuple(dict.fromkeys(finding)),
    )
    wanted = PictureColumns(declared, mask=mask, split=split, label_probability=label_probability)
    options = ImportOptions(_words(positive), _words(negative), batch, colour, size_px, fit, date)
    with unpacked(path) as root:
        listing = _with_refused(find_pictures(root, layout, file_column=file), refused)
        return _import_listing(path, listing, folder, wanted, options, report)


def refuse_text(columns: Sequence[str]) -> None:
    """Raise BadInputError where columns of text are told."""
    if columns:
        raise BadInputError("--text is for tables; pictures are learnt from their pixels.", repair="Leave it out.")


def _with_refused(listing: Listing, refused: Sequence[tuple[str, str]]) -> Listing:
    """The list with files that an earlier step set aside among its problems, as row 0: they stand in no row of it."""
    if not refused:
        return listing
    problems = problem_frame((0, listing.file_column, name, reason) for name, reason in refused)
    known = listing.table.problems
    problems = pd.concat([known, problems], ignore_index=True) if len(known) else problems
    note = f"{len(refused):,} files were refused before, for example {refused[0][0]}: {refused[0][1]}."
    return replace(listing, table=replace(listing.table, problems=problems, notes=(*listing.table.notes, note)))


def _words(words: str | Sequence[str] | None) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(map(str, words or ()))


def _import_listing(
    path: Path,
    listing: Listing,
    folder: Path,
    wanted: PictureColumns,
    options: ImportOptions,
    report: Callable[[str], None],
) -> ImportReport:
    """Check the pictures, then write rows and archive."""
    known = read_domain_spec(folder) if (folder / "domain.yaml").exists() else None
    if known is not None and known.image_column is None:
        raise BadInputError(f"Domain '{known.name}' is a table.", repair="Choose another domain name.")
    columns, notes = choose_columns(listing, wanted, known)
    frame = with_clean_paths(listing, columns)
    declared = columns.declared
    if known is None:  # wrong words are told before thousands of pictures are read
        words = _first_words(frame, declared.label, options)
    else:
        spec, word_notes = known, []
        if declared.label is not None:
            spec, word_notes = extended_words(known, frame[declared.label], options.positive, options.negative)
        notes += [*word_notes, *new_column_notes(frame, known)]
    check = check_pictures(
        frame[IMAGE],
        frame[columns.mask] if columns.mask else None,
        frame[declared.label] if declared.label else None,
        listing.table.lines,
        listing.root,
        known=known_pictures(folder, known),
        report=report,
    )
    kept, quarantined = kept_rows(frame, listing, columns, check, options.batch)
    if known is None:
        spec = _new_spec(kept, folder, columns, words, check, options)
        notes += words[2]
        if declared.time is not None:
            notes += check_time(kept[declared.time], spec.column(declared.time))
    elif declared.key is not None:
        check_new_keys(kept, declared.key, folder)
    class_notes, num_unlabelled = label_notes(kept, spec, is_first=known is None)
    class_notes += finding_notes(kept, spec, is_first=known is None, noun="picture")
    notes = [*listing.table.notes, *notes, *check_notes(check, frame, listing, columns), *class_notes]
    num_left_out = len(frame) - len(kept) + len(listing.table.problems)
    digest = sha256_of(path) if path.is_file() else _digest_of(check)
    entry = {"name": options.batch, "file": path.name, "sha256": digest, "rows": len(kept)}
    entry |= {"quarantined": num_left_out} | ({"date": options.date} if options.date else {})

    def write_pictures(new: Path) -> None:
        write_archive(archive_path(new, options.batch), read_files(kept, columns, check, options.batch))

    if known is None:
        spec = replace(spec, sha256=digest, source=path.name)
        create_domain_folder(folder, spec, kept, quarantined, entry, write_more=write_pictures)
    else:
        if spec != known:
            write_domain_spec(folder, spec)
        add_batch(folder, kept, quarantined, entry, write_more=write_pictures)
    return ImportReport(len(kept), num_left_out, tuple(dict.fromkeys(notes)), folder, num_unlabelled)


def _first_words(
    frame: pd.DataFrame, label: str | None, options: ImportOptions
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    if label is not None:
        return label_words(frame[label], options.positive, options.negative)
    if options.positive or options.negative:
        raise BadInputError("--positive or --negative is given, but there is no label.", repair="Say --label COLUMN.")
    return (), (), []


def _new_spec(
    kept: pd.DataFrame,
    folder: Path,
    columns: PictureColumns,
    words: tuple[tuple[str, ...], tuple[str, ...], list[str]],
    check: PictureCheck,
    options: ImportOptions,
) -> DomainSpec:
    """A first domain.yaml."""
    check_columns(kept.columns, [IMAGE], where="the list of pictures")
    told = {"size_px": options.size_px, "fit": options.fit}
    colour = options.colour or ("rgb" if check.num_colour else "grey")
    image = ImageSpec(colour=colour, **{name: value for name, value in told.items() if value is not None})
    return DomainSpec(
        name=folder.name,
        vertical=folder.parent.name,
        columns=column_specs(kept, columns, image),
        positive=words[0],
        negative=words[1],
    )


def _digest_of(check: PictureCheck) -> str:
    """One digest over the files that were looked at: names and contents, in sorted order."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(check.sha256.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
