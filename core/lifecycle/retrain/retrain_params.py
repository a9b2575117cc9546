"""The `retrain` subsection of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.recommend import MonitorPolicy
from core.lifecycle.registry.mlflow_mirror import MlflowParams
from core.lifecycle.retrain.gate_limits import GateLimits
from core.lifecycle.retrain.notifying import NotifyParams
from core.params import VerticalParams, parse_section
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class RunParams:
    """What is decided of every retraining run, whatever the model.

    decide: promote a challenger that passes every gate (automatic), or hold each for a person.
    waived: names of release gates (four-fifths rule, ...) that a person has judged once for this vertical; a gate whose
    failure means refusal cannot be waived. allow_dirty: also promote a model of code that is in no commit. commit: put
    registry, data.dvc, dvc.lock and metrics into a git commit. push: models and data to the DVC remote before a model
    is promoted.
    prometheus_file: textfile for node_exporter; empty: none.
    """

    decide: Literal["automatic", "person"] = "automatic"
    notify: NotifyParams = field(default_factory=NotifyParams)
    mlflow: MlflowParams = field(default_factory=MlflowParams)
    waived: tuple[str, ...] = ()
    allow_dirty: bool = False
    commit: bool = False
    push: bool = False
    prometheus_file: str = ""
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class RetrainParams(RunParams):
    """How a vertical that scores cases for classes is retrained.

    when: train where the monitor asks for it (drift), or with every batch (always). watch_batches: the newest
    deliveries since the champion that are watched together; more of them than labels are late, so that late labels
    count.
    """

    when: Literal["drift", "always"] = "drift"
    watch_batches: int = Field(default=4, ge=1)
    monitor: MonitorOptions = field(default_factory=MonitorOptions)
    policy: MonitorPolicy = field(default_factory=MonitorPolicy)
    gates: GateLimits = field(default_factory=GateLimits)


def retrain_params(params: VerticalParams, vertical: str) -> RetrainParams:
    """The vertical's `retrain`, its monitor with the costs of `train` where it names none of its own.

    Raises:
        BadParamsError: an unknown key or a value out of range.
    """
    told: Mapping[str, Any] = params.retrain
    parsed = parse_section(RetrainParams, told, where=f"{vertical}.retrain")
    own = told.get("monitor") or {}
    costs = {
        name: getattr(params.train, name) for name in ("cost_false_negative", "cost_false_positive") if name not in own
    }
    return replace(parsed, monitor=replace(parsed.monitor, **costs))
