"""`crossdomain new-vertical`: a vertical that runs at once, written by a command, and taken away again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.project import project_root
from core.errors import CrossdomainError, MissingArtifactError

HELP = """Write a new vertical that runs at once on small SYNTHETIC domains, or take one away.

Example: crossdomain new-vertical late_delivery --modality table --task binary

Example: crossdomain new-vertical claim_cost --modality table --task regression

Example: crossdomain new-vertical urgent_mail --modality text --task binary

Example: crossdomain new-vertical paint_flaws --modality image --task binary

Example: crossdomain new-vertical complaints --modality table --task multiclass

Example: crossdomain new-vertical power_prices --modality timeseries --task regression

Example: crossdomain new-vertical late_delivery --remove

It writes verticals/NAME, an item in each stage of dvc.yaml and a section in params.yaml; all of it or nothing. Its
README says what to change first. --remove takes these away again, with data and results of the demo domains; files,
domains, models or results of your own are told and kept unless --force is given.
"""


def new_vertical(
    name: Annotated[str, typer.Argument(help="Small letters, digits, underscores: late_delivery.")],
    modality: Annotated[str, typer.Option(help="What a case is: table, text, image or timeseries.")] = "table",
    task: Annotated[
        str, typer.Option(help="binary, multiclass (kinds of positive), multilabel (findings beside), regression.")
    ] = "binary",
    remove: Annotated[bool, typer.Option("--remove", help="Take the vertical away.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --remove: also what is your own.")] = False,
) -> None:
    """Write or remove a vertical."""
    root = project_root()
    _check_place(root)
    if force and not remove:
        raise CrossdomainError("--force is for --remove.", repair="Leave it out; a new vertical overwrites nothing.")
    if remove:
        from core.scaffold.removing import remove_vertical

        removed = [folder.relative_to(root).as_posix() for folder in remove_vertical(root, name, is_forced=force)]
        for folder in removed:
            typer.echo(f"{folder}: removed")
        typer.echo(f"dvc.yaml, params.yaml: no '{name}' any more")
        if f"registry/{name}" in removed:  # what was retrained was added to DVC with its data
            typer.echo("data.dvc: names the data of before; `dvc add data` brings it up to date")
        return
    from core.scaffold.creating import create_vertical

    folder = create_vertical(root, name, modality=modality, task=task).relative_to(root)
    typer.echo(f"{folder}: written. dvc.yaml: an item in each stage. params.yaml: section '{name}'.")
    typer.echo(f"Next: crossdomain run {name} (on SYNTHETIC demo domains). {folder}/README.md: what to change first.")


def _check_place(root: Path) -> None:
    """Raise MissingArtifactError where the verticals that run are not those of this project."""
    import verticals

    if root.resolve() / "verticals" not in [Path(place).resolve() for place in verticals.__path__]:
        raise MissingArtifactError(
            f"The command that runs here is of another folder than {root}: it would not see a vertical written here.",
            repair="Run `pip install -e .` in the project first.",
        )
