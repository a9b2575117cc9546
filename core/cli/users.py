"""`crossdomain users`: who may sign in to the dashboard."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.cli.project import project_root
from core.errors import BadInputError

HELP = """Say who may sign in to the dashboard, and as what.

Example: crossdomain users add ann --role labeller

Roles: a viewer sees results and scores cases, a labeller also labels and proposes thresholds, an owner also adopts
them, makes batches of labels, and reads the audit and personal columns. CROSSDOMAIN_USERS names another file than
.crossdomain/users.json.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="For example ann, or ann@bank.example.")],
    role: Annotated[str, typer.Option(help="viewer, labeller or owner.")] = "viewer",
    from_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add somebody; the password (12 characters or more) is asked for twice.

    Example: crossdomain users add ann --role labeller
    """
    from core.lifecycle.users import add_user, users_path

    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _ask_twice()
    path = users_path(project_root())
    add_user(path, name, role, password)
    typer.echo(f"{name} may sign in as {role} ({path}).")


@app.command("list")
def list_users() -> None:
    """Names and roles.

    Example: crossdomain users list
    """
    from core.lifecycle.users import read_users, users_path

    users = read_users(users_path(project_root()))
    for name, user in users.items():
        typer.echo(f"{name:24} {user.role}")
    if not users:
        typer.echo("Nobody yet: crossdomain users add NAME --role owner")


@app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="As `users list` shows it.")]) -> None:
    """Take somebody out; what they did stays in the store.

    Example: crossdomain users remove ann
    """
    from core.lifecycle.users import remove_user, users_path

    remove_user(users_path(project_root()), name)
    typer.echo(f"{name} may not sign in any more.")


def _ask_twice() -> str:
    password = typer.prompt("Password", hide_input=True)
    if typer.prompt("Once more", hide_input=True) != password:
        raise BadInputError("The two passwords differ; nothing was changed.", repair="Run the command again.")
    return password
