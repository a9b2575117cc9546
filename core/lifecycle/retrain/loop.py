"""From a delivery to a promoted model or a reasoned refusal: one run, or the rest of one that was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.artifacts import Artifacts
from core.data.held_batches import has_batch
from core.errors import BadInputError, CrossdomainError
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.journal import Journal, begin_run, unfinished_run
from core.lifecycle.retrain.run import Run
from core.lifecycle.run_lock import exclusive
from core.params import load_params
from core.vertical import Vertical, load_vertical

EXIT_CODES = {"promoted": 0, "kept": 0, "refused": 20, "held": 21}


def run_type(vertical: Vertical) -> type[Run]:
    """How the vertical's models are watched, fitted and judged."""
    if vertical.forecasts:
        from core.forecasting.retrain.series_run import SeriesRun

        return SeriesRun
    if vertical.predicts_number:
        from core.regression.retrain.value_run import ValueRun

        return ValueRun
    from core.lifecycle.retrain.case_run import CaseRun

    return CaseRun


def retrain(
    root: Path, vertical_name: str, *, source: BatchSource | None = None, report: Callable[[str], None] = print
) -> Journal:
    """One run, or the rest of one that was stopped; its journal, ended.

    source: a delivery that is not in the data yet; None: what is there, with labels that came since.

    Raises:
        CrossdomainError: another run is going on, or a step fails; the journal stays open, and a further call goes on
            at that step.
    """
    root = Path(root)
    vertical = load_vertical(vertical_name)
    params = load_params(root / "params.yaml", vertical_name, vertical.params_type)
    kind = run_type(vertical)
    told = kind.parse(params, vertical_name)
    with exclusive(root, f"retrain-{vertical_name}"):
        journal = _journal_of(root, vertical_name, source)
        artifacts = Artifacts(root / "artifacts", vertical_name)
        run = kind(root, vertical, params, told, journal, source, report, root / "data", artifacts)
        try:
            run.go()
        except CrossdomainError as error:
            run.tell_failure(error)
            raise
        return journal


def abandon(root: Path, vertical_name: str) -> Journal | None:
    """End a run that was stopped, without doing the rest of it; what it has taken in stays. None: there is none."""
    load_vertical(vertical_name)
    with exclusive(root, f"retrain-{vertical_name}"):
        journal = unfinished_run(root, vertical_name)
        if journal is not None:
            journal.end("abandoned")
        return journal


def _journal_of(root: Path, vertical: str, source: BatchSource | None) -> Journal:
    """The run that was stopped, or a new one.

    Raises:
        BadInputError: the stopped run is about another delivery, or the new one's name is taken.
    """
    told = source.describe() if source is not None else None
    stopped = unfinished_run(root, vertical)
    if stopped is None:
        if source is not None and has_batch(root / "data" / vertical / source.domain, source.name):
            raise BadInputError(
                f"Domain '{source.domain}' has a batch '{source.name}' already; it is not overwritten.",
                repair="Leave --batch out to retrain on what is there, or name the new one with --name.",
            )
        return begin_run(root, vertical, told)
    own = stopped.values["batch"]
    if told is not None and (own is None or (own["name"], own["sha256"]) != (told["name"], told["sha256"])):
        about = f"batch '{own['name']}'" if own else "the data as it is"
        raise BadInputError(
            f"Run {stopped.run} of {vertical}, about {about}, was stopped and is not over.",
            repair=f"Finish it: `crossdomain retrain {vertical}`; or give it up: `crossdomain retrain {vertical}"
            " --abandon`. Then bring this batch.",
        )
    if told is None and own is not None and stopped.result("take_in") is None:
        raise BadInputError(
            f"Run {stopped.run} of {vertical} was stopped before batch '{own['name']}' was taken in.",
            repair="Give the file again with --batch, or give the run up with --abandon.",
        )
    return stopped
