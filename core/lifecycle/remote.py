"""The project's DVC remote, by which data and models come to another clone: a folder, S3 or what else DVC knows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadInputError, CrossdomainError, MissingArtifactError, OfflineError
from core.lifecycle import remote_probe
from core.lifecycle.dvc_command import run_dvc, run_python, without_secrets
from core.lifecycle.remote_causes import NOT_KEPT, cause_of

LOCAL_REMOTE = "crossdomain"
REACH_SECONDS = 40.0  # to be told that the remote answers
TRANSFER_SECONDS = 6 * 3600.0  # to send or fetch everything
ADDRESS = re.compile(r"\w+://")
SECRET_SETTING = re.compile(
    r"key_id|access_key|account_key|customer_key|key_secret|secret|token|pass|auth_header|string"
)


@dataclass(frozen=True)
class Remote:
    """The default remote and its settings, as DVC reads them."""

    name: str
    settings: Mapping[str, Any]

    @property
    def folder(self) -> Path | None:
        """None where it is no folder of this machine."""
        return None if ADDRESS.match(self.settings["url"]) else Path(self.settings["url"])

    @property
    def secrets(self) -> list[str]:
        """Values that no message may hold."""
        return [str(value) for key, value in self.settings.items() if SECRET_SETTING.search(key)]

    @property
    def shown(self) -> str:
        """Name and address."""
        return f"'{self.name}' ({without_secrets(str(self.settings['url']), self.secrets)})"


def has_remote(root: Path) -> bool:
    """Whether a default DVC remote is set up, in the project or for this user; it is not asked anything.

    Raises:
        CrossdomainError: DVC's configuration cannot be read.
    """
    return _default_remote(Path(root)) is not None


def add_local_remote(root: Path, folder: Path) -> None:
    """Make a folder outside the project its default remote, in .dvc/config, which git keeps for every clone.

    It is created where it is missing; a relative one is relative to the project. What comes from it is compared with
    its checksum. A second time changes nothing.

    Raises:
        BadInputError: the folder is inside the project, or is a file.
        CrossdomainError: the project has another default remote or no DVC, or the folder cannot be created.
    """
    root = Path(root).resolve()
    if not (root / ".dvc").is_dir():  # DVC itself would take the project around this folder
        raise CrossdomainError(f"{root} is not under DVC.", repair="Run `dvc init` there first.")
    folder = (root / Path(folder).expanduser()).resolve()
    if folder == root or root in folder.parents:
        raise BadInputError(
            f"{folder} is inside the project {root}, where it would be lost together with it.",
            repair="Name a folder outside it, best on another disk.",
        )
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file.", repair="Name a folder.")
    if present := _default_remote(root):
        if present.folder is not None and present.folder.resolve() == folder:
            return
        raise CrossdomainError(
            f"The project has the default remote {present.shown}.",
            repair="Keep it, or unset it first: `dvc remote default --unset`.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrossdomainError(
            f"{folder} cannot be created: {error.strerror or error}.", repair="Name a folder that you may write to."
        ) from None
    for arguments in (  # the default last: what is stopped before is no remote yet
        ("add", "--force", LOCAL_REMOTE, str(folder)),
        ("modify", LOCAL_REMOTE, "verify", "true"),
        ("default", LOCAL_REMOTE),
    ):
        done = run_dvc(root, "remote", *arguments)
        if not done.is_ok:
            raise CrossdomainError(
                f"DVC does not take {folder} as a remote: {done.cause}.", repair="Mend this, then run again."
            )


def push(root: Path, targets: Sequence[Path], *, timeout_seconds: float = TRANSFER_SECONDS) -> None:
    """Send what DVC tracks at these paths to the default remote; what is there already is not sent again.

    targets: `.dvc` files or the folders that they track, below `root`; relative ones are relative to it. None of them
    does nothing, unlike `dvc push`, which then sends everything.

    Raises:
        BadInputError: a target outside the project.
        MissingArtifactError: no remote is set up, or neither this machine nor the remote has the content of a target.
        OfflineError: the remote's folder is gone, or it does not answer within REACH_SECONDS.
        CrossdomainError: DVC failed or took longer than `timeout_seconds`; its own words are told, no credentials.
    """
    _transfer("push", Path(root), targets, timeout_seconds)


def pull(root: Path, targets: Sequence[Path], *, timeout_seconds: float = TRANSFER_SECONDS) -> None:
    """Fetch what DVC tracks at these paths from the default remote and put it in its place.

    A file that was changed here is never replaced. The rest is as of `push`.

    Raises:
        BadInputError: a target outside the project.
        MissingArtifactError: no remote is set up, or neither this machine nor the remote has the content of a target.
        OfflineError: the remote's folder is gone, or it does not answer within REACH_SECONDS.
        CrossdomainError: a changed file is in the way, or DVC failed or took longer than `timeout_seconds`.
    """
    _transfer("pull", Path(root), targets, timeout_seconds)


def _transfer(action: str, root: Path, targets: Sequence[Path], timeout_seconds: float) -> None:
    names = [_shown(root, Path(target)) for target in targets]
    if not names:
        return
    remote = _default_remote(root)
    if remote is None:
        raise MissingArtifactError(
            "No default DVC remote is set up.",
            repair="Set one up: `dvc remote add --default NAME ADDRESS`, a folder or s3://BUCKET/FOLDER.",
        )
    _require_answer(action, root, remote, names)
    for group in _of_one_kind(names):
        _run(action, root, remote, group, timeout_seconds)


def _of_one_kind(names: list[str]) -> list[list[str]]:
    """`.dvc` files, then paths: of both in one command DVC leaves some out without a word (its issue 11075)."""
    groups = [[name for name in names if name.endswith(".dvc") is is_file] for is_file in (True, False)]
    return [group for group in groups if group]


def _run(action: str, root: Path, remote: Remote, names: list[str], timeout_seconds: float) -> None:
    try:
        done = run_dvc(root, action, "--", *names, timeout_seconds=timeout_seconds, secrets=remote.secrets)
    except subprocess.TimeoutExpired:
        raise CrossdomainError(
            f"`dvc {action}` with the remote {remote.shown} was stopped after {timeout_seconds:.0f} s.",
            repair=f"What came through is kept; run `dvc {action} {' '.join(names)}` for the rest.",
        ) from None
    if not done.is_ok:
        raise _error(action, remote, names, done.cause)
    if NOT_KEPT in done.told:
        raise MissingArtifactError(
            f"DVC has not kept all of {', '.join(names)}, neither here nor in the remote {remote.shown}.",
            repair=f"Where the files still lie here, `dvc commit {' '.join(names)}`, then push again.",
        )


def _require_answer(action: str, root: Path, remote: Remote, names: list[str]) -> None:
    """A folder that is there, or an answer in time: DVC itself would make the folder anew and ask for minutes."""
    if remote.folder is not None:
        if remote.folder.is_dir():
            return
        raise OfflineError(
            f"The folder of the remote {remote.shown} is not there.",
            repair=f"Mount its disk, create it, or name another: `dvc remote modify {remote.name} url FOLDER`.",
        )
    try:
        done = run_python(
            root, "-P", remote_probe.__file__,  # no module of its folder or of the project's gets in the way
            timeout_seconds=REACH_SECONDS, secrets=remote.secrets, variables={"AWS_MAX_ATTEMPTS": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _error(action, remote, names, f"connection timed out after {REACH_SECONDS:.0f} s") from None
    if not done.is_ok:
        raise _error(action, remote, names, done.cause)


def _error(action: str, remote: Remote, names: list[str], told: str) -> CrossdomainError:
    """DVC's words as the error that they are."""
    kind, repair = cause_of(told)
    return kind(
        f"DVC cannot {action} {', '.join(names)} with the remote {remote.shown}: {told}.",
        repair=repair.format(action=action, targets=" ".join(names)),
    )


def _default_remote(root: Path) -> Remote | None:
    """As DVC reads it: the user's configuration, then the project's, then that of this clone alone."""
    from dvc.config import Config, ConfigError

    if not (root / ".dvc").is_dir():
        return None
    try:
        config = Config(str(root / ".dvc"))
    except ConfigError as error:
        raise CrossdomainError(f"{root / '.dvc' / 'config'}: {error}.", repair="Mend it in an editor.") from None
    name = config["core"].get("remote")
    settings = config["remote"].get(name)
    return Remote(name, settings) if settings else None


def _shown(root: Path, target: Path) -> str:
    """A target as a command at the project's top would name it; the `.dvc` file of a folder where there is one."""
    path = root.absolute() / target
    if ".." in path.parts or not path.is_relative_to(root.absolute()):
        raise BadInputError(f"{target} is not below the project {root}.", repair="Name a path inside it.")
    tracked = path.with_name(f"{path.name}.dvc")
    return (tracked if tracked.is_file() else path).relative_to(root.absolute()).as_posix()
