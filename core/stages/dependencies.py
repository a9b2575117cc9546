"""Which source files a stage really imports, and dvc.yaml kept in step with them.

`python -m core.stages.dependencies` rewrites the `core/` lines of each stage's deps; a test fails when they differ.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ruamel.yaml import YAML

from core.artifacts import replacing_file
from core.stages import STAGES
from core.vertical import FORECASTS, SERIES, VALUE, stage_name

KINDS = (("table", "binary"), (FORECASTS, "regression"), ("table", "regression"))  # of modality and task, one a family
# All stages of dvc.yaml: of verticals that tell classes, of those that forecast, and of those that predict a number.
ALL_STAGES = tuple(
    dict.fromkeys(stage_name(stage, modality=modality, task=task) for modality, task in KINDS for stage in STAGES)
)
# The field of VERTICAL whose function a stage calls, from a module that `later` names.
HOOKS = {"evaluate": "evaluate_more", "export": "export", "report": "report_sections"}


def stage_dependencies(root: Path, stage: str) -> list[str]:
    """Files of `core/` that the stage and the verticals' dataset modules import, directly or not, lazily or not."""
    queue = [root / "core/stages/__main__.py", root / f"core/stages/{stage}.py"]
    bare = stage.removeprefix(SERIES).removeprefix(VALUE)
    told = {path: _modality_and_task(path) for path in sorted(root.glob("verticals/*/__init__.py"))}
    # Classes and numbers are read by the same dataset modules: a first vertical with numbers changes nothing here.
    is_of_series = stage.startswith(SERIES)
    queue += [path.with_name("dataset.py") for path in told if (told[path]["modality"] == FORECASTS) == is_of_series]
    for path in (path for path in told if stage_name(bare, **told[path]) == stage):
        queue += [file for name in _hook_modules(path, HOOKS.get(bare, "")) for file in _files_of(root, name)]
    seen: set[Path] = set()
    while queue:
        path = queue.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        queue += [file for name in _imported_names(path) for file in _files_of(root, name)]
    files = {p.relative_to(root).as_posix() for p in seen if p.is_relative_to(root / "core")}
    # A package that only holds a docstring decides nothing; the command itself only dispatches.
    return sorted(f for f in files if f != "core/stages/__main__.py" and _has_code(root / f))


def _modality_and_task(path: Path) -> dict[str, str]:
    """What the VERTICAL of the file says of itself."""
    words = {word: "" for word in ("modality", "task")}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            found = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            words |= {word: str(found[word]) for word in words if word in found}
    return words


def _hook_modules(path: Path, hook: str) -> list[str]:
    """The module in `hook=later("module", "function")` of a vertical's VERTICAL, if it is given."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    given = [word.value for call in calls for word in call.keywords if word.arg == hook]
    return [
        node.args[0].value for node in given if isinstance(node, ast.Call) and isinstance(node.args[0], ast.Constant)
    ]


def _imported_names(path: Path) -> list[str]:
    """Dotted names in the file's import statements, those inside functions included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.split(".")[0] in {"core", "verticals"}]


def _files_of(root: Path, name: str) -> list[Path]:
    """A module's file and the `__init__` of every package above it."""
    parts = name.split(".")
    packages = [root.joinpath(*parts[:size], "__init__.py") for size in range(1, len(parts) + 1)]
    return [p for p in [*packages, root.joinpath(*parts).with_suffix(".py")] if p.exists()]


def _has_code(path: Path) -> bool:
    """Whether a file holds more than a docstring and plain constants."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not isinstance(node, (ast.Expr, ast.Assign)) for node in body)


def declared_dependencies(root: Path, stage: str) -> list[str]:
    """The `core/*.py` lines of the stage in dvc.yaml."""
    document = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))
    deps = document["stages"][stage]["do"]["deps"]
    return sorted(d for d in deps if d.startswith("core/") and d.endswith(".py"))


def rewrite(root: Path) -> None:
    """Put the true list into dvc.yaml; other dependencies, comments and order stay."""
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load((root / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in ALL_STAGES:
        deps = document["stages"][stage]["do"]["deps"]
        kept = [d for d in deps if not (d.startswith("core/") and d.endswith(".py"))]
        deps[:] = kept + stage_dependencies(root, stage)
    with replacing_file(root / "dvc.yaml") as temporary, temporary.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


if __name__ == "__main__":
    rewrite(Path.cwd())
