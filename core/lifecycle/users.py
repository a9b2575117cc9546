"""Who may sign in and what their role allows: a file of names, roles and password digests."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.errors import BadInputError, BadParamsError, did_you_mean
from core.lifecycle.passwords import PasswordDigest, digest_password, waste_a_try
from core.params import parse_section
from core.strict import STRICT

PATH_VARIABLE = "CROSSDOMAIN_USERS"
DEFAULT_PATH = Path(".crossdomain") / "users.json"
ROLES = ("viewer", "labeller", "owner")  # each may do what those before it may
LOWEST_ROLE = {
    "view": "viewer",
    "score": "viewer",
    "label": "labeller",
    "propose": "labeller",
    "adopt": "owner",
    "make_batch": "owner",
    "read_audit": "owner",
    "see_personal": "owner",
}
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
NAME_HELP = "Use letters, digits and _ . @ + -, at most 64, such as ann or ann@bank.example."


@dataclass(frozen=True, config=STRICT)
class User:
    """One person. role: viewer, labeller or owner."""

    role: Literal["viewer", "labeller", "owner"]
    password: PasswordDigest
    name: str = ""


@dataclass(frozen=True, config=STRICT)
class UsersFile:
    """The whole file: name -> role and password digest."""

    users: Mapping[str, User] = field(default_factory=dict)


def may(role: str, action: str) -> bool:
    """Whether a role allows an action of `LOWEST_ROLE`; an unknown role allows nothing.

    Raises:
        BadParamsError: there is no such action; the nearest is named.
    """
    if action not in LOWEST_ROLE:
        raise BadParamsError(f"There is no action '{action}'.", repair=did_you_mean(action, LOWEST_ROLE))
    return role in ROLES and ROLES.index(role) >= ROLES.index(LOWEST_ROLE[action])


def users_path(root: Path) -> Path:
    """CROSSDOMAIN_USERS, else `.crossdomain/users.json` below the project."""
    asked = os.environ.get(PATH_VARIABLE, "").strip()
    return Path(asked) if asked else Path(root) / DEFAULT_PATH


def read_users(path: Path) -> dict[str, User]:
    """Users by name, sorted; none where there is no file.

    Raises:
        BadParamsError: the file is neither JSON nor YAML, or holds an unknown key or role.
    """
    path = Path(path)
    if not path.exists():
        return {}
    try:
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))  # JSON is YAML, too
    except (YAMLError, UnicodeDecodeError) as error:
        raise BadParamsError(
            f"{path.name} cannot be read ({type(error).__name__}).", repair="Restore it, or add the users again."
        ) from None
    if not isinstance(values or {}, dict):
        raise BadParamsError(f"{path.name} holds no users.", repair="`crossdomain users add NAME --role ROLE`.")
    found = parse_section(UsersFile, values or {}, where=path.name).users
    return {name: User(user.role, user.password, name) for name, user in sorted(found.items())}


def add_user(path: Path, name: str, role: str, password: str) -> User:
    """Add somebody to the file, which only its owner can read; it is written whole or not at all.

    Raises:
        BadInputError: the name is taken or no name, the role is unknown, or the password is too short.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise BadInputError(f"'{name}' is no user name.", repair=NAME_HELP)
    if role not in ROLES:
        raise BadInputError(f"There is no role '{role}'.", repair=did_you_mean(role, ROLES))
    users = read_users(path)
    taken = [known for known in users if known.casefold() == name.casefold()]
    if taken:
        raise BadInputError(f"There is a user '{taken[0]}' already.", repair="Remove it first, or choose another name.")
    users[name] = User(role, digest_password(password), name)
    _write(path, users)
    return users[name]


def remove_user(path: Path, name: str) -> None:
    """Take somebody out of the file; what they did stays in the store.

    Raises:
        BadInputError: there is no such user; the nearest is named.
    """
    users = read_users(path)
    if name not in users:
        raise BadInputError(f"There is no user '{name}'.", repair=did_you_mean(name, users))
    _write(path, {known: user for known, user in users.items() if known != name})


def check_password(path: Path, name: str, password: str) -> User | None:
    """The user, or None for a wrong name or password, after the same time. Pages use `SignInGuard` instead."""
    user = read_users(path).get(name)
    if user is None:
        waste_a_try(password)
        return None
    return user if user.password.matches(password) else None


def _write(path: Path, users: Mapping[str, User]) -> None:
    """Beside, then renamed; mode 0600 from the first byte on."""
    path = Path(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain: dict[str, Any] = {name: {"role": u.role, "password": asdict(u.password)} for name, u in users.items()}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if path.suffix in (".yaml", ".yml"):
                YAML().dump({"users": plain}, file)
            else:
                json.dump({"users": plain}, file, indent=2)
                file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
