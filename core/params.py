"""`params.yaml` as frozen dataclasses: a typo or an impossible value stops before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.artifacts import replacing_file
from core.errors import BadParamsError, MissingArtifactError, did_you_mean
from core.images.spec import ImageSpec
from core.strict import STRICT

# YAML reads an unquoted 2012-01-01 as a date.
DayText = Annotated[str, BeforeValidator(lambda day: day.isoformat() if isinstance(day, date) else day)]


@dataclass(frozen=True, config=STRICT)
class SplitParams:
    """How target rows are split.

    `auto`: as given where the domain has a split column, else temporal where a time is known, else grouped, else
    stratified. `good_only`: training and validation rows are of the negative class alone, whole groups; all other
    labelled rows are test rows. `batches`, for a model that is retrained: the newest `test_batches` deliveries with
    labels of both classes are the test set; validation rows are drawn from all others, so that the newest of those
    train and calibrate as well. `regression_fraction`: share of the target's groups that no model ever learns from and
    no test set holds, whatever data comes: chosen by their names alone, they judge every challenger of `retrain`.
    """

    method: Literal["auto", "given", "stratified", "grouped", "temporal", "good_only", "batches"] = "auto"
    test_fraction: float = Field(default=0.25, gt=0.0, lt=0.9)
    valid_fraction: float = Field(default=0.15, gt=0.0, lt=0.9)
    test_from: DayText | None = None  # temporal: first day of the test period, YYYY-MM-DD
    test_batches: int = Field(default=1, ge=1)  # of method: batches
    regression_fraction: float = Field(default=0.0, ge=0.0, lt=0.5)


@dataclass(frozen=True, config=STRICT)
class PrepareParams:
    """Which domains, which split, how many target labels."""

    target_domain: str
    source_domains: tuple[str, ...] = ()
    split: SplitParams = field(default_factory=SplitParams)
    label_budget: int | None = Field(default=None, ge=0)  # None: every target training label
    use_protected: bool = True  # False: protected columns are no features, only slices
    drop_columns: tuple[str, ...] = ()
    drop_suspects: bool = False  # True: columns the leakage guard suspects are no features
    image: ImageSpec | None = None  # None: as domain.yaml says
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class TrainParams:
    """Which transfer with which learner. `auto` chooses among `candidates` by validation."""

    transfer: str = "auto"
    candidates: tuple[str, ...] = ()
    transfer_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by transfer, checked in choices
    learner: str = "logistic_regression"
    learner_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by learner
    calibration: Literal["none", "temperature", "platt", "isotonic"] = "platt"
    conformal_error_rate: float = Field(default=0.05, gt=0.0, lt=0.5)  # rows of a class whose set may miss it
    cost_false_negative: float = Field(default=5.0, gt=0.0)  # a positive case that passes
    cost_false_positive: float = Field(default=1.0, gt=0.0)  # a negative case turned away
    threshold_rule: Literal["cost", "sensitivity", "fixed"] = "cost"  # cheapest; highest that keeps a sensitivity; told
    target_sensitivity: float = Field(default=0.95, gt=0.0, lt=1.0)  # of threshold_rule: sensitivity
    fixed_threshold: float | None = Field(default=None, ge=0.0, le=1.0, validate_default=True)  # of fixed alone
    input_gate_error_rate: float | None = Field(default=None, gt=0.0, lt=0.5)  # good pictures refused; None: no gate
    trackers: tuple[Literal["dvclive", "tensorboard", "wandb", "mlflow"], ...] = ("dvclive",)
    seed: int = 0

    @field_validator("fixed_threshold")
    @classmethod
    def _check_fixed_threshold(cls, value: float | None, info: ValidationInfo) -> float | None:
        """A threshold is told exactly when the rule asks for one."""
        rule = info.data.get("threshold_rule")
        if rule == "fixed" and value is None:
            raise ValueError("threshold_rule 'fixed' needs a threshold between 0 and 1")
        if rule in ("cost", "sensitivity") and value is not None:
            raise ValueError(f"is read with threshold_rule 'fixed' alone, which is '{rule}'; leave it out or change it")
        return value


@dataclass(frozen=True, config=STRICT)
class EvaluateParams:
    """Intervals, calibration bins and slices."""

    num_bootstrap: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    num_bins: int = Field(default=10, ge=2)
    slices: tuple[str, ...] = ()  # empty: the domain's protected columns
    min_slice_rows: int = Field(default=30, ge=1)
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class CompareParams:
    """The transfer ledger: methods x label budgets x draws on one split."""

    baseline: str = "target_only"
    methods: tuple[str, ...] = ("source_only", "target_only")
    budgets: tuple[int | Literal["all"], ...] = ("all",)
    num_draws: int = Field(default=5, ge=1)
    num_bootstrap: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class ExportParams:
    """ONNX, its parity gate and the latency run; of pictures, smaller models too, kept only where they pay.

    pruned_fractions: shares of the inner channels to leave out, tried from the largest on until one is kept.
    student_seconds: training time of a small student; 0: none.
    """

    parity_tolerance: float = Field(default=1e-4, gt=0.0)
    num_latency_rows: int = Field(default=1000, ge=1)
    pruned_fractions: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = (0.1, 0.2)
    student_seconds: float = Field(default=60.0, ge=0.0)


@dataclass(frozen=True, config=STRICT)
class ReportParams:
    """What the report says on top."""

    organisation: str = ""
    intended_use: str = ""


@dataclass(frozen=True, config=STRICT)
class VerticalParams:
    """One vertical's section of params.yaml; one subsection a stage, and the vertical's own options."""

    prepare: PrepareParams
    train: TrainParams = field(default_factory=TrainParams)
    evaluate: EvaluateParams = field(default_factory=EvaluateParams)
    compare: CompareParams = field(default_factory=CompareParams)
    export: ExportParams = field(default_factory=ExportParams)
    report: ReportParams = field(default_factory=ReportParams)
    retrain: Mapping[str, Any] = field(default_factory=dict)  # of `crossdomain retrain`; RetrainParams
    options: Mapping[str, Any] = field(default_factory=dict)  # parsed by the vertical


def _choices_at(kind: type, location: tuple[Any, ...]) -> list[str]:
    """Field names allowed where an unknown key was met."""
    for step in location:
        inner = get_type_hints(kind).get(step)
        if not hasattr(inner, "__dataclass_fields__"):
            break
        kind = inner
    return list(getattr(kind, "__dataclass_fields__", {}))


def parse_section(kind: type, values: Mapping[str, Any], *, where: str) -> Any:
    """`values` as the frozen dataclass `kind`; every problem is named in one error.

    Raises:
        BadParamsError: unknown keys (with the nearest known one), wrong types, values out of range.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        problems = []
        for issue in error.errors():
            location = tuple(issue["loc"])
            path = ".".join([where, *map(str, location)])
            if issue["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
                choices = _choices_at(kind, location[:-1])
                problems.append(f"unknown key '{path}'. {did_you_mean(str(location[-1]), choices)}")
            else:
                problems.append(f"{path}: {issue['msg']}; got {issue['input']!r}")
        raise BadParamsError("params.yaml: " + "; ".join(problems) + ".") from None


def read_params_file(path: Path) -> dict[str, Any]:
    """The whole file as plain dictionaries.

    Raises:
        MissingArtifactError: there is no such file.
        BadParamsError: it is not YAML.
    """
    if not path.exists():
        raise MissingArtifactError(f"{path} is missing.", repair="Run the command in the project's top folder.")
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except YAMLError as error:
        raise BadParamsError(f"{path} is not valid YAML: {error}") from None


def load_params(path: Path, vertical: str, kind: type = VerticalParams) -> Any:
    """One vertical's parameters, of the dataclass `kind` (`Vertical.params_type`).

    Raises:
        BadParamsError: the section is missing or wrong in any way.
    """
    sections = read_params_file(path)
    if vertical not in sections:
        raise BadParamsError(f"{path} has no section '{vertical}'.", repair=did_you_mean(vertical, sections))
    return parse_section(kind, sections[vertical], where=vertical)


def set_params(path: Path, changes: Mapping[str, Any], kind: type = VerticalParams) -> None:
    """Write `section.sub.key -> value` changes into the file; comments and order are kept.

    The result is parsed before the file is replaced, so a bad value leaves it as it was.

    Raises:
        BadParamsError: the path or the value is not allowed.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    document = yaml.load(path.read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        node = document
        for step in parents:
            if step not in node:
                node[step] = {}
            node = node[step]
            if not isinstance(node, dict):
                raise BadParamsError(f"params.yaml: '{dotted}' goes through a plain value.")
        node[leaf] = value
    for vertical in {dotted.split(".")[0] for dotted in changes}:
        parse_section(kind, _to_builtin(document[vertical]), where=vertical)
    with replacing_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def _to_builtin(node: Any) -> Any:
    """ruamel's round-trip containers as plain ones."""
    if isinstance(node, dict):
        return {str(key): _to_builtin(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_to_builtin(value) for value in node]
    return node
