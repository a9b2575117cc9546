"""Source regressors fitted once and shared by all that ask for them, however many target folds there are."""

from __future__ import annotations

from core.data.samples import Samples
from core.regression.regressor import Regressor
from core.regression.transfer import RegressionTask


class SourceRegressors:
    """A memory of what was fitted on a source. It knows a source by identity: hand on the same Samples object."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int], tuple[RegressionTask, Regressor]] = {}

    def recall(self, task: RegressionTask, source: Samples) -> Regressor:
        """The regressor of this task's source rows: fitted on `source`, its labelled ones, or remembered."""
        key = (id(task.source), id(task.make_regressor))
        if key not in self._entries:
            # the task is kept so that its ids stay taken
            self._entries[key] = (task, task.make_regressor().fit(source))
        return self._entries[key][1]
