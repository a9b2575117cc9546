"""Step 5: the challenger into the registry, and into the champion's place where every gate and the policy allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core.artifacts import Artifacts
from core.data.prepared import read_manifest
from core.errors import CrossdomainError
from core.lifecycle.git_files import changed_paths, commit_paths, head_commit
from core.lifecycle.registry import RegistrationFacts, promote, read_stages, register, track
from core.lifecycle.registry.places import Places
from core.lifecycle.retrain.journal import HELD, PROMOTED, REFUSED
from core.lifecycle.retrain.retrain_params import RunParams
from core.params import read_params_file

CODE_PATHS = ("core", "verticals", "params.yaml", "dvc.yaml", "pyproject.toml")


def changed_code(root: Path) -> list[str] | None:
    """Files of code and parameters that are in no commit as they lie there; None where there is no commit."""
    return changed_paths(root, *CODE_PATHS) if head_commit(root) else None


def data_md5(root: Path) -> str:
    """The version of data/ as data.dvc names it; empty where DVC does not track it."""
    path = root / "data.dvc"
    told = YAML(typ="safe").load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return str(((told or {}).get("outs") or [{}])[0].get("md5") or "")


def register_challenger(
    root: Path,
    vertical: str,
    trained: Mapping[str, Any],
    *,
    batches: Mapping[str, Sequence[str]],
    metrics: Mapping[str, Any],
    target_domain: str,
    run: str,
) -> dict[str, Any]:
    """Copy the model into the registry with its lineage, and hand it to DVC where the project has DVC.

    batches: domain -> deliveries that the model knows. A second time gives the version of the first.

    Raises:
        VerificationError: the model is not what the training step left.
        CrossdomainError: DVC does not take it.
    """
    changed = changed_code(root)
    facts = RegistrationFacts(
        data_md5=data_md5(root),
        batches=batches,
        params=read_params_file(root / "params.yaml")[vertical],
        code_commit=head_commit(root),
        is_code_dirty=changed is None or bool(changed),
        target_domain=target_domain,
        metrics=metrics,
        notes=f"{trained['kind']}, run {run}",
    )
    version = register(root, vertical, root / trained["model"], facts)
    if (root / ".dvc").is_dir():
        track(root, vertical, version.version)
    return {"version": version.version, "model_digest": version.model_digest, "data_md5": facts.data_md5}


def labelled_batches(artifacts: Artifacts, names: Sequence[str], target: str) -> list[str]:
    """The target's deliveries that had labels when it was trained: the others are news to it until theirs come."""
    manifest = read_manifest(artifacts)
    known = manifest.loc[(manifest["domain"] == target) & manifest["label"].notna(), "batch"]
    return [name for name in names if name in set(known)]


def push_version(root: Path, vertical: str, version: str, params: RunParams) -> dict[str, Any]:
    """Model and data to the DVC remote, before anybody serves the model.

    Raises:
        CrossdomainError: there is no remote, or it cannot be reached.
    """
    if not params.push:
        return {"is_pushed": False, "reason": "retrain.push is off"}
    from core.lifecycle.remote import has_remote, push  # most projects push by hand

    if not has_remote(root):
        raise CrossdomainError(
            "retrain.push is on, and DVC has no remote.", repair="Add one: `dvc remote add --default NAME URL`."
        )
    push(root, [Places(root, vertical).tracked(version), root / "data.dvc"])
    return {"is_pushed": True, "reason": ""}


def decide(
    root: Path, vertical: str, version: str, judgement: Mapping[str, Any], params: RunParams, run: str
) -> dict[str, Any]:
    """Promote, hold or refuse; of a run that was killed here, what it had decided.

    Raises:
        VerificationError: the model is not the one that was registered.
    """
    before = read_stages(root, vertical)
    failed = [gate["name"] for gate in judgement["gates"] if not gate["is_passed"]]
    outcome, reason = PROMOTED, f"Every gate is passed ({run})."
    if judgement["decision"] != "ship":
        outcome = REFUSED if judgement["decision"] == "refuse" else HELD
        reason = f"{judgement['headline']}: {', '.join(failed)}."
    elif params.decide == "person":
        outcome, reason = HELD, "Every gate is passed; retrain.decide leaves the promotion to a person."
    previous = before.champion
    if outcome == PROMOTED:
        last = before.changes[-1] if before.changes else None
        if previous == version and last is not None:
            previous = last.previous  # promoted before the journal could say so
        promote(root, vertical, version, who="retrain", reason=reason, allow_dirty=params.allow_dirty)
    return {
        "outcome": outcome,
        "reason": reason,
        "champion": read_stages(root, vertical).champion,
        "previous": previous,
        "challenger": version,
        "set_aside": [],
    }


def commit_run(root: Path, vertical: str, outcome: str, run: str) -> dict[str, Any]:
    """One git commit of registry, model and data pointers, dvc.lock and metrics; what git says is told, not raised."""
    paths = [f"registry/{vertical}", "data.dvc", "dvc.lock", "models/.gitignore", f"models/{vertical}/.gitignore"]
    paths += [path.relative_to(root).as_posix() for path in (root / "models" / vertical).glob("*.dvc")]
    metrics = (root / "artifacts" / vertical).glob("*/*metrics.json")
    paths += [path.relative_to(root).as_posix() for path in metrics]
    try:
        return {"commit": commit_paths(root, paths, f"retrain {vertical} {run}: {outcome}"), "error": ""}
    except CrossdomainError as error:
        return {"commit": None, "error": str(error)}
