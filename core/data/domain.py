"""`domain.yaml`: what every column of a domain means, and the schema that learners see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML

from core.artifacts import replacing_file
from core.errors import BadInputError, MissingArtifactError, did_you_mean
from core.images.spec import ImageSpec
from core.params import STRICT, parse_section

Kind = Literal["number", "category", "text", "date", "image", "mask"]
Use = Literal[
    "feature", "label", "key", "time", "group", "ignore", "split", "annotation", "label_probability", "finding"
]


@dataclass(frozen=True, config=STRICT)
class ColumnSpec:
    """One raw column.

    kind: how its text is typed. use: what it is for. `order`: categories from low to high, where there is an order.
    concept: the shared word of the vertical that ties columns of different lenders together (`annual_income`).
    concept_values: raw category -> the concept's word (`OWN: own`).
    monotone: +1 if a higher value can only raise the positive class's probability, -1 lower, 0 no demand.
    is_protected: a protected attribute (age, sex, race, ...). is_after_outcome: known only after the outcome; never
    a feature. missing_values: texts that mean "not known" besides the empty one.
    allowed: (minimum, maximum) of a number; a value outside is treated as missing and counted.
    decimal: the decimal mark of a number's text; the other mark then separates thousands.
    image: how the pictures of a column of kind image (and the masks that belong to them) are brought to one size.
    A label of kind number is predicted as a number, in its unit; of any other kind, its texts are told apart by the
    domain's `positive` and `negative`.
    A label_probability is the positive class's share as the labellers graded it, 0 to 1; a split column names each
    row's split (train, valid, test); an annotation is evidence of the label, such as a mask, and never a feature. A
    finding is present, absent or unknown beside others of the same row (words: `core.data.findings`), never a feature.
    """

    name: str
    kind: Kind = "category"
    use: Use = "feature"
    meaning: str = ""
    unit: str = ""
    concept: str = ""
    concept_values: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    monotone: Literal[-1, 0, 1] = 0
    is_protected: bool = False
    is_after_outcome: bool = False
    missing_values: tuple[str, ...] = ()
    allowed: tuple[float | None, float | None] = (None, None)
    date_format: str = ""
    ratio: tuple[str, str] | None = None  # a derived number, (numerator, denominator); the raw file has no such column
    decimal: Literal[".", ","] = "."
    image: ImageSpec | None = None


@dataclass(frozen=True, config=STRICT)
class DomainSpec:
    """One domain: provenance, label and columns.

    positive / negative: label texts; a label in neither is no outcome (unlabelled row, counted). None where the label
    is a number.
    """

    name: str
    vertical: str
    columns: tuple[ColumnSpec, ...]
    title: str = ""
    description: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    outcome: str = ""  # what the positive label means in words
    source: str = ""
    licence: str = ""
    citation: str = ""
    sha256: str = ""  # of the raw file that was taken in
    is_synthetic: bool = False
    caveats: tuple[str, ...] = Field(default=())

    @model_validator(mode="after")
    def _check_ratios(self) -> DomainSpec:
        """A ratio is made of two numbers and is at least as protected and as late as they are."""
        by_name = {column.name: column for column in self.columns}
        for column in self.columns:
            for name in column.ratio or ():
                part = by_name.get(name)
                if part is None or part.kind != "number" or part.ratio or column.kind != "number":
                    raise ValueError(f"ratio '{column.name}' needs '{name}' to be a number column of the file")
                if (part.is_protected and not column.is_protected) or (
                    part.is_after_outcome and not column.is_after_outcome
                ):
                    raise ValueError(f"ratio '{column.name}' must be marked as its part '{name}' is")
        return self

    @model_validator(mode="after")
    def _check_label(self) -> DomainSpec:
        """A label that is a number has no words."""
        if self.has_number_label and (self.positive or self.negative):
            raise ValueError(
                f"label '{self.label_column}' is a number, so there are no `positive` and `negative` texts"
            )
        return self

    @property
    def raw_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns that the raw file has; ratios are made of them."""
        return tuple(column for column in self.columns if column.ratio is None)

    def column(self, name: str) -> ColumnSpec:
        """The column by name.

        Raises:
            BadInputError: there is none; the nearest is named.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise BadInputError(
            f"Domain '{self.name}' has no column '{name}'.",
            repair=did_you_mean(name, [column.name for column in self.columns]),
        )

    def with_use(self, use: Use) -> tuple[ColumnSpec, ...]:
        """The columns of one use, in file order."""
        return tuple(column for column in self.columns if column.use == use)

    @property
    def image_column(self) -> ColumnSpec | None:
        """The first feature of kind image, or None."""
        return next((column for column in self.with_use("feature") if column.kind == "image"), None)

    @property
    def label_column(self) -> str | None:
        """Name of the label column, or None for an unlabelled domain."""
        labels = self.with_use("label")
        return labels[0].name if labels else None

    @property
    def has_number_label(self) -> bool:
        """Whether rows are labelled with a number to be predicted, not with a class."""
        return any(column.kind == "number" for column in self.with_use("label"))

    @property
    def protected(self) -> tuple[str, ...]:
        """Names of protected columns."""
        return tuple(column.name for column in self.columns if column.is_protected)


def read_domain_spec(folder: Path) -> DomainSpec:
    """The folder's domain.yaml.

    Raises:
        MissingArtifactError: the folder or the file is not there.
        BadParamsError: a key or value is wrong; all problems are named.
    """
    path = Path(folder) / "domain.yaml"
    if not path.exists():
        siblings = sorted(p.parent.name for p in path.parent.parent.glob("*/domain.yaml"))
        raise MissingArtifactError(
            f"There is no domain '{path.parent.name}' ({path} is missing).",
            repair=did_you_mean(path.parent.name, siblings)
            + " `crossdomain fetch` brings the demo domains, `crossdomain import` your own.",
        )
    values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return parse_section(DomainSpec, values, where=f"{path.parent.name}/domain.yaml")


def write_domain_spec(folder: Path, spec: DomainSpec) -> None:
    """Write domain.yaml; values equal to their default are left out, so that a person can review it."""
    yaml = YAML()
    yaml.width = 110
    yaml.allow_unicode = True
    with (
        replacing_file(Path(folder) / "domain.yaml") as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):
        yaml.dump(_without_defaults(spec), file)


def _without_defaults(spec: DomainSpec) -> dict[str, Any]:
    """Plain dictionary of what differs from the defaults."""

    def trim(values: dict[str, Any], empty: dict[str, Any]) -> dict[str, Any]:
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if key in {"name", "vertical", "kind"} or value != empty.get(key)
        }

    plain = trim(asdict(spec), asdict(DomainSpec(name="", vertical="", columns=())))
    empty_column = asdict(ColumnSpec(name=""))
    plain["columns"] = [trim(asdict(column), empty_column) for column in spec.columns]
    return plain
