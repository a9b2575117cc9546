"""What the columns of a list of pictures are for, and which of its label words mean a defect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from core.data.declarations import Declarations, check_declarations, declared_columns
from core.data.domain import ColumnSpec, DomainSpec
from core.data.labels import label_word
from core.data.typing_rows import check_columns
from core.errors import BadInputError, did_you_mean, nearest
from core.images.layouts import Listing
from core.images.spec import ImageSpec

IMAGE, MASK, LABEL, SPLIT = "image", "mask", "label", "split"
GOOD_WORDS = frozenset({"good", "ok", "normal", "functional", "0", "no_defect"})
OWN_KINDS = {"mask": ("mask", "annotation"), "split": ("category", "split"), "label_probability": ("number",) * 2}


@dataclass(frozen=True)
class PictureColumns:
    """Names of the list's columns by what they are for; `declared` holds those that tables know as well."""

    declared: Declarations
    mask: str | None = None
    split: str | None = None
    label_probability: str | None = None

    def own(self) -> dict[str, str]:
        """Role -> column, of the roles that only pictures have."""
        roles = {"mask": self.mask, "split": self.split, "label_probability": self.label_probability}
        return {role: column for role, column in roles.items() if column is not None}


def choose_columns(listing: Listing, wanted: PictureColumns, spec: DomainSpec | None) -> tuple[PictureColumns, list]:
    """The columns as declared, else as domain.yaml has them, else by the default names; and notes.

    Raises:
        BadInputError: a declared column is not there (the nearest is named), has two roles, or contradicts domain.yaml.
    """
    present, notes = list(listing.table.frame.columns), []
    declared = wanted.declared
    check_declarations(replace(declared, positive=()), present, file_name=listing.root.name)
    check_columns(present, list(wanted.own().values()), where="the options --mask, --split and their kin")
    if spec is not None:
        return _as_in_domain(wanted, spec, present), notes
    label = declared.label
    if label is None and LABEL in present:
        label = LABEL
    elif label is None:
        close = nearest(LABEL, present)
        hint = f" ('{close[0]}' is there: say --label {close[0]} if it is meant)" if close else ""
        notes.append(f"There is no column '{LABEL}': every picture is unlabelled{hint}.")
    mask = wanted.mask or (MASK if MASK in present else None)
    split = wanted.split
    if split is None and listing.layout == "mvtec":
        split = SPLIT
    named = (label, declared.group, declared.time, mask, split, listing.file_column, *declared.finding)
    roles = Counter([column for column in named if column])
    twice = [column for column, count in roles.items() if count > 1]
    if twice and set(twice) != {declared.group}:
        raise BadInputError(f"The column '{twice[0]}' is given two roles.", repair="Keep one of them.")
    return replace(wanted, declared=replace(declared, label=label), mask=mask, split=split), notes


def _as_in_domain(wanted: PictureColumns, spec: DomainSpec, present: Sequence[str]) -> PictureColumns:
    """The roles of a known domain.

    Raises:
        BadInputError: a declaration contradicts domain.yaml, or the batch lacks a group, key or time column.
    """
    uses = {"mask": "annotation"}
    found = {}
    for role in ("label", "group", "time", "key", "mask", "split", "label_probability"):
        column = wanted.own().get(role) if role in OWN_KINDS else getattr(wanted.declared, role)
        known = [c.name for c in spec.with_use(uses.get(role, role))]
        _check_agrees(role, () if column is None else (column,), known)
        found[role] = known[0] if known and known[0] in present else None
        if role in {"group", "time", "key"} and known:
            check_columns(present, known, where=f"domain '{spec.name}'")
    own = {role: found.pop(role) for role in OWN_KINDS}
    findings = [c.name for c in spec.with_use("finding")]
    _check_agrees("finding", wanted.declared.finding, findings)
    found["finding"] = tuple(name for name in findings if name in present)
    return replace(wanted, declared=replace(wanted.declared, **found), **own)


def _check_agrees(role: str, columns: Sequence[str], known: Sequence[str]) -> None:
    """Raise BadInputError for a declared column that does not have this role in domain.yaml."""
    for column in columns:
        if column not in known:
            raise BadInputError(
                f"--{role.replace('_', '-')} {column} contradicts domain.yaml, where it is "
                f"{', '.join(known) or 'no column'}.",
                repair="Leave the option out, or edit domain.yaml.",
            )


def column_specs(frame: pd.DataFrame, columns: PictureColumns, image: ImageSpec) -> tuple[ColumnSpec, ...]:
    """The columns of a first domain.yaml: roles as given, and whatever else is there ignored, so that it can slice."""
    guessed, _ = declared_columns(frame, columns.declared)
    roles = {column: role for role, column in columns.own().items()}
    specs = []
    for column in guessed:
        if column.name == IMAGE:
            specs.append(ColumnSpec(IMAGE, kind="image", use="feature", image=image))
        elif column.name in roles:
            kind, use = OWN_KINDS[roles[column.name]]
            specs.append(ColumnSpec(column.name, kind=kind, use=use))
        else:
            specs.append(replace(column, use="ignore") if column.use == "feature" else column)
    return tuple(specs)


def label_words(
    texts: pd.Series, positive: Sequence[str], negative: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """(positive words, negative words, notes) of the labels; told words win, else the usual words for good decide.

    Raises:
        BadInputError: a told word does not occur or is told as both, or no label means good.
    """
    counts = Counter(label_word(text) for text in texts.dropna() if str(text).strip())
    shown = ", ".join(f"'{word}' ({count:,})" for word, count in counts.most_common(8))
    if not counts:
        return (), (), ["The label column is empty: every picture is unlabelled."]
    told_positive, told_negative = ([label_word(word) for word in words] for words in (positive, negative))
    for word in (*told_positive, *told_negative):
        if word not in counts:
            raise BadInputError(
                f"The label '{word}' does not occur; there is {shown}.", repair=did_you_mean(word, counts)
            )
        if word in told_positive and word in told_negative:
            raise BadInputError(f"The label '{word}' is told as positive and as negative.", repair="Keep one of them.")
    if told_negative:
        good = told_negative
    elif told_positive:
        good = [word for word in counts if word not in told_positive]
    else:
        good = [word for word in counts if is_good_word(word)]
    bad = told_positive or [word for word in counts if word not in good]
    if not good:
        raise BadInputError(
            f"No picture is labelled good: there is {shown}.",
            repair="Say --negative WORD for the good ones; pictures of defects alone cannot be learnt from.",
        )
    notes = [f"Good: {', '.join(sorted(good))}. Defects: {', '.join(sorted(bad)) or 'none'}."]
    left = sorted(set(counts) - set(good) - set(bad))
    if left:
        notes.append(f"Labels in neither list, kept as unlabelled: {', '.join(left)}.")
    if not bad:
        notes.append("Only good pictures: ways that learn from good parts alone will work, others need defects.")
    return tuple(sorted(bad)), tuple(sorted(good)), notes


def extended_words(
    spec: DomainSpec, texts: pd.Series, positive: Sequence[str], negative: Sequence[str]
) -> tuple[DomainSpec, list[str]]:
    """The domain with the words that a further batch brings, where they were told or the domain had good ones only.

    Raises:
        BadInputError: a told word does not occur, or means the opposite in domain.yaml.
    """
    counts = Counter(label_word(text) for text in texts.dropna() if str(text).strip())
    added: list[list[str]] = []
    for option, words, other in (("positive", positive, spec.negative), ("negative", negative, spec.positive)):
        mine = [label_word(word) for word in words]
        for word in mine:
            if word in {label_word(w) for w in other}:
                raise BadInputError(f"--{option} {word} contradicts domain.yaml.", repair="Edit domain.yaml.")
            if word not in counts and word not in getattr(spec, option):
                raise BadInputError(f"The label '{word}' does not occur.", repair=did_you_mean(word, counts))
        added.append([word for word in mine if word not in {label_word(w) for w in getattr(spec, option)}])
    known = {label_word(word) for word in (*spec.positive, *spec.negative)} | {*added[0], *added[1]}
    unknown = sorted(set(counts) - known)
    notes = []
    if unknown and not spec.positive and not positive:
        added[0] += [word for word in unknown if not is_good_word(word)]
        added[1] += [word for word in unknown if is_good_word(word)]
    elif unknown:
        notes.append(
            f"Labels that domain.yaml does not know, kept as unlabelled: {', '.join(unknown)}. Say --positive WORD to "
            "count one as a defect."
        )
    if added[0] or added[1]:
        told = ", ".join([*(f"{word} (defect)" for word in added[0]), *(f"{word} (good)" for word in added[1])])
        notes.append(f"New words in domain.yaml: {told}.")
        spec = replace(spec, positive=(*spec.positive, *added[0]), negative=(*spec.negative, *added[1]))
    return spec, notes


def is_good_word(word: str) -> bool:
    """Whether a label is one of the usual words for a good part, in any case."""
    return label_word(word).lower().replace("-", "_").replace(" ", "_") in GOOD_WORDS
