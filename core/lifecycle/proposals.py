"""A proposed threshold taken over into params.yaml, with who, why and what changed; the next run applies it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.artifacts import write_text
from core.errors import BadInputError, MissingArtifactError
from core.lifecycle.plain_changes import Change, changes_between
from core.lifecycle.proposal_records import ADOPTED, DECLINED, Proposal, insert_decision
from core.lifecycle.registry.model_files import MANIFEST_FILE, folder_digest
from core.lifecycle.served_model import served_model
from core.lifecycle.store import Store
from core.params import load_params, read_params_file, set_params


@dataclass(frozen=True)
class Adoption:
    """proposal: as it was. changes: the values of params.yaml that are others now; empty where it said so already.

    notes: what the owner should know, such as that the model is another one by now.
    """

    proposal: Proposal
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def model_digest(root: Path, vertical: str) -> str:
    """SHA-256 of the serving model's list of files and their checksums: equal for equal models.

    Raises:
        MissingArtifactError: there is no model.
    """
    folder = served_model(root, vertical).folder
    if not (folder / MANIFEST_FILE).exists():
        raise MissingArtifactError(f"{vertical} has no model yet.", repair=f"Run `dvc repro train@{vertical}` first.")
    return folder_digest(folder)


def find_proposal(store: Store, vertical: str, proposal_id: int) -> Proposal:
    """One proposal of the vertical.

    Raises:
        BadInputError: it has none of that id.
    """
    for proposal in store.proposals(vertical):
        if proposal.id == proposal_id:
            return proposal
    raise BadInputError(
        f"{vertical} has no proposal {proposal_id}.", repair=f"`crossdomain proposals {vertical} list` shows them."
    )


def adopt(
    root: Path, vertical: str, proposal: Proposal | int, *, store: Store, who: str, reason: str, role: str = ""
) -> Adoption:
    """Write the threshold into params.yaml and record who adopted it and why: both, or neither.

    `train.threshold_rule` becomes `fixed` and `train.fixed_threshold` the proposal's. Nothing is trained: `dvc repro`
    does that, and its evaluation shows what the threshold does.

    Raises:
        BadInputError: another vertical's or domain's proposal, a second decision, or no reason.
        BadParamsError: params.yaml is wrong.
    """
    found = find_proposal(store, vertical, proposal if isinstance(proposal, int) else proposal.id)
    path = Path(root) / "params.yaml"
    target = load_params(path, vertical).prepare.target_domain
    if found.domain != target:
        raise BadInputError(
            f"Proposal {found.id} is for domain '{found.domain}', but params.yaml serves '{target}'.",
            repair="Make a proposal on the present target's model.",
        )
    notes = _notes(root, vertical, found)
    text, before = path.read_text(encoding="utf-8"), read_params_file(path)
    wanted = {"threshold_rule": "fixed", "fixed_threshold": found.threshold}
    try:
        with store.writing() as connection:
            insert_decision(connection, found.id, who=who, decision=ADOPTED, reason=reason, role=role)
            set_params(path, {f"{vertical}.train.{name}": value for name, value in wanted.items()})
    except BaseException:
        if path.read_text(encoding="utf-8") != text:
            write_text(path, text)
        raise
    return Adoption(found, tuple(changes_between(before, read_params_file(path))), notes)


def decline(vertical: str, proposal: Proposal | int, *, store: Store, who: str, reason: str, role: str = "") -> None:
    """Record that a proposal is not taken over, by whom and why; params.yaml stays as it is.

    Raises:
        BadInputError: another vertical's proposal, a second decision, or no reason.
    """
    found = find_proposal(store, vertical, proposal if isinstance(proposal, int) else proposal.id)
    store.decide_proposal(found.id, who=who, decision=DECLINED, reason=reason, role=role)


def _notes(root: Path, vertical: str, proposal: Proposal) -> tuple[str, ...]:
    """Where the model is gone or another one, its probabilities may be others, too."""
    try:
        is_same = model_digest(root, vertical) == proposal.model_digest
    except MissingArtifactError as error:
        return (error.message,)
    if is_same:
        return ()
    return ("The model is another one than the threshold was found on: look at its costs again after the run.",)
