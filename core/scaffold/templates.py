"""What a new vertical's files say: templates by modality and task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.errors import CrossdomainError
from core.stages import STAGES
from core.vertical import stage_name

HERE = Path(__file__).parent
PARAMS_TEMPLATE = "params.yaml.j2"
COMMON = {
    "README.md": "README.md.j2",
    "__init__.py": "init.py.j2",
    "dataset.py": "dataset.py.j2",
    "domains/__init__.py": "domains.py.j2",
    "domains/demo_source.yaml": "demo_source.yaml.j2",
    "domains/demo_target.yaml": "demo_target.yaml.j2",
    "domains/drawing.py": "drawing.py.j2",
    "importing.py": "importing.py.j2",
    "options.py": "options.py.j2",
    "protocols/__init__.py": "protocols.py.j2",
    "report.py": "report.py.j2",
    "scoring.py": "scoring.py.j2",
}
OF_PICTURES = COMMON | {"evaluation.py": "evaluation.py.j2", "words.py": "words.py.j2"}
BESIDE = ("multiclass", "multilabel")  # two classes as in `binary`, and kinds of the positive one or findings beside
OF_CASES = ("domains/drawing.py", "report.py", "scoring.py")  # of verticals that score, not of those that forecast
# (modality, task) -> file of the vertical -> its template below `<modality>_<task>/`, or below that of its PARENTS
TEMPLATES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("table", "binary"): COMMON,
    ("table", "regression"): {path: file for path, file in COMMON.items() if path != "report.py"},
    ("text", "binary"): COMMON,
    ("image", "binary"): OF_PICTURES,
    **{("table", task): COMMON for task in BESIDE},
    **{("text", task): COMMON for task in BESIDE},
    **{("image", task): OF_PICTURES for task in BESIDE},
    ("timeseries", "regression"): {
        **{path: file for path, file in COMMON.items() if path not in OF_CASES},
        "domains/demo_other.yaml": "demo_other.yaml.j2",
    },
}
PARENTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("text", "binary"): ("table", "binary"),
    ("table", "regression"): ("table", "binary"),
    **{(modality, task): (modality, "binary") for modality in ("table", "text", "image") for task in BESIDE},
}


def stage_names(modality: str, task: str) -> tuple[str, ...]:
    """The stages of dvc.yaml that a vertical of the modality and task runs."""
    return tuple(stage_name(stage, modality=modality, task=task) for stage in STAGES)


def check_combination(modality: str, task: str) -> None:
    """Raise CrossdomainError unless there are templates for the modality and the task."""
    if (modality, task) not in TEMPLATES:
        known = "; ".join(f"--modality {one} --task {other}" for one, other in TEMPLATES)
        raise CrossdomainError(
            f"There is no template of a vertical with modality '{modality}' and task '{task}'.",
            repair=f"There are: {known}.",
        )


def render_files(name: str, modality: str, task: str) -> dict[str, str]:
    """Path below the vertical's folder -> text."""
    chosen = TEMPLATES[modality, task]
    return {path: _render(name, modality, task, template) for path, template in chosen.items()}


def render_section(name: str, modality: str, task: str) -> str:
    """The vertical's section of params.yaml."""
    return _render(name, modality, task, PARAMS_TEMPLATE)


def _render(name: str, modality: str, task: str, template: str) -> str:
    """One template, its own or the nearest parent's; a name that it lacks is an error."""
    places = [(modality, task)]
    while places[-1] in PARENTS:
        places.append(PARENTS[places[-1]])
    environment = Environment(
        loader=FileSystemLoader([*(HERE / "_".join(place) for place in places), HERE]),
        autoescape=False,  # Python and YAML; the name was checked
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    title = name.replace("_", " ").capitalize()
    return environment.get_template(template).render(name=name, title=title, modality=modality, task=task)
