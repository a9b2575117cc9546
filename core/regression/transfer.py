"""The transfer surface of regression: source rows and a few target rows in, a fitted regressor out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.params import parse_section
from core.registry import Registry
from core.regression.regressor import NoOptions, Regressor

REGRESSION_TRANSFERS: Registry[type[RegressionTransfer]] = Registry("regression transfer")
MIN_VALID_ROWS = 200  # a smaller validation set would stop early on noise


@dataclass(frozen=True)
class RegressionTask:
    """What a transfer may use. All rows are in the target's schema.

    source: labelled rows of other domains (may be empty); their labels may be in another unit. target: training rows of
    the target; only those within the label budget carry a label, the rest serve as unlabelled. valid: labelled target
    rows for early stopping, or None. make_regressor: a fresh, unfitted regressor of the kind chosen in params.
    """

    source: Samples
    target: Samples
    valid: Samples | None
    make_regressor: Callable[[], Regressor]
    seed: int = 0

    @property
    def labelled_target(self) -> Samples:
        """The target rows whose label may be seen, of positive weight."""
        return self.target.take(self.target.is_labelled & (self.target.weights > 0))

    @property
    def usable_valid(self) -> Samples | None:
        """The validation rows where they are enough to stop early on, else None: the regressor uses inner folds."""
        is_enough = self.valid is not None and self.valid.num_labelled >= MIN_VALID_ROWS
        return self.valid.labelled() if is_enough else None

    @property
    def target_domain(self) -> str:
        """Name of the target domain."""
        return str(self.target.domains[0])

    def require_source(self, transfer: str) -> Samples:
        """The labelled source rows, for the transfer of that name.

        Raises:
            BadParamsError: there are none, or all their labels are equal.
        """
        source = self.source.take(self.source.is_labelled & (self.source.weights > 0))
        if len(source) == 0 or np.ptp(source.labels) == 0:
            found = "there are none" if len(source) == 0 else f"all {len(source)} have the same label"
            raise BadParamsError(
                f"Transfer '{transfer}' needs labelled source rows and {found}.",
                repair="Name source domains in prepare.source_domains or choose 'target_only'.",
            )
        return source

    def require_target(self, transfer: str) -> Samples:
        """The labelled target rows, for the transfer of that name.

        Raises:
            BadParamsError: there are none.
        """
        target = self.labelled_target
        if len(target) == 0:
            raise BadParamsError(
                f"Transfer '{transfer}' needs labelled target rows and there are none.",
                repair="Raise the label budget or choose 'source_only'.",
            )
        return target


class RegressionTransfer(ABC):
    """One way to use the source. `needs_source` / `needs_target_labels` tell the ledger where it applies.

    learns_unlabelled: target rows without a label change what is fitted. `Options` is a frozen pydantic dataclass
    (config STRICT); an unknown option stops with the nearest name.
    """

    Options: ClassVar[type] = NoOptions
    needs_source: ClassVar[bool] = True
    needs_target_labels: ClassVar[bool] = True
    learns_unlabelled: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any] | Any | None = None) -> None:
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            name = type(self).__name__
            self.options = parse_section(self.Options, options or {}, where=f"transfer_options of {name}")

    @abstractmethod
    def fit(self, task: RegressionTask) -> Regressor:
        """The fitted regressor; it is saved, loaded and scored like any other."""
