"""Forecasters that train the sequence network: on the target, on the sources, or first there and then here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.forecasting.forecaster import Forecaster, ForecastTask
from core.forecasting.series import Series
from core.forecasting.source_networks import kept_weights
from core.forecasting.windows import Windows, concatenate, windows_of
from core.params import STRICT

if TYPE_CHECKING:
    from core.forecasting.sequence_network import SequenceNetwork

# What the networks of the sources depend on besides the sources themselves.
SOURCE_OPTIONS = ("width", "max_source_days", "source_epochs", "source_learning_rate", "weight_decay")


@dataclass(frozen=True, config=STRICT)
class NetworkOptions:
    """The network and its training.

    width: channels of the convolutions. num_members: networks whose log forecasts are averaged.
    source_choice: `all` sources together, or the `best` of each by itself and all together, by QLIKE of the source
    network on the target's history, which has taught it nothing. max_source_days: newest days of each that teach.
    source_epochs, source_learning_rate: of training on the sources (and of both together, where they are pooled).
    epochs, learning_rate: of training on the target. held_out: share of the days, the last ones, that choose the epoch.
    """

    width: int = Field(default=16, ge=1)
    num_members: int = Field(default=2, ge=1)
    source_choice: Literal["all", "best"] = "best"
    max_source_days: int = Field(default=5000, ge=100)
    source_epochs: int = Field(default=8, ge=1)
    source_learning_rate: float = Field(default=3e-3, gt=0.0)
    epochs: int = Field(default=20, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    batch_size: int = Field(default=64, ge=1)
    weight_decay: float = Field(default=0.01, ge=0.0)
    held_out: float = Field(default=0.2, gt=0.0, lt=0.5)
    strategy_options: Mapping[str, Any] = Field(default_factory=dict)


class NetworkForecaster(Forecaster):
    """Trains on the sources with every weight moving, then on the target as `strategy` says; None: not at all."""

    Options = NetworkOptions
    strategy: ClassVar[str | None] = None
    is_pooled: ClassVar[bool] = False

    def learn(self, task: ForecastTask) -> None:
        """One network a member."""
        own = windows_of(task.history, task.horizons)
        self.chosen_sources_: tuple[str, ...] = ()
        if self.transfers and task.sources and not self.is_pooled:
            task = replace(task, sources=self._choose_sources(task, own))
            self.chosen_sources_ = tuple(source.name for source in task.sources)
        self.networks_ = [self._train_member(task, own, task.seed * 1000 + m) for m in range(self.options.num_members)]

    def _train_member(self, task: ForecastTask, own: Windows, seed: int) -> SequenceNetwork:
        network = new_network(len(task.horizons), self.options.width, seed)
        if self.is_pooled:
            rows = concatenate([*self._source_windows(task.sources, task.horizons), own])
            return self._train(network, rows, own, "full", seed=seed, is_source=True)
        if self.transfers and task.sources:
            network = self._from_sources(task, task.sources, network, seed)
        if self.strategy is None:
            return network
        return self._train(network, own, own, self.strategy, seed=seed, is_source=False)

    def _source_windows(self, sources: tuple[Series, ...], horizons: tuple[int, ...]) -> list[Windows]:
        newest = slice(-self.options.max_source_days, None)
        return [windows_of(source.rows(newest), horizons) for source in sources]

    def _choose_sources(self, task: ForecastTask, own: Windows) -> tuple[Series, ...]:
        """The sources whose network forecasts the history best, by the first member."""
        if self.options.source_choice == "all" or len(task.sources) == 1:
            return task.sources
        from core.forecasting.network_training import mean_qlike

        candidates = [*((source,) for source in task.sources), task.sources]
        losses = []
        for sources in candidates:
            network = new_network(len(task.horizons), self.options.width, task.seed * 1000)
            losses.append(mean_qlike(self._from_sources(task, sources, network, task.seed * 1000), own))
        return candidates[int(np.argmin(losses))]

    def _from_sources(
        self, task: ForecastTask, sources: tuple[Series, ...], network: SequenceNetwork, seed: int
    ) -> SequenceNetwork:
        """The network after the sources, trained once for all who ask for the same."""
        from torch.nn.utils import parameters_to_vector, vector_to_parameters

        from core.forecasting.network_training import as_tensor

        def train() -> np.ndarray:
            rows = concatenate(self._source_windows(sources, task.horizons))
            made = self._train(network, rows, None, "full", seed=seed, is_source=True)
            return parameters_to_vector(made.parameters()).detach().numpy().copy()

        told = (task.horizons, seed, [(name, getattr(self.options, name)) for name in SOURCE_OPTIONS])
        vector_to_parameters(as_tensor(kept_weights(sources, told, train)), network.parameters())
        return network

    def _train(
        self,
        network: SequenceNetwork,
        rows: Windows,
        judge: Windows | None,
        strategy: str,
        *,
        seed: int,
        is_source: bool,
    ) -> SequenceNetwork:
        """Train on the rows; the best epoch by the last days of `judge`, which do not teach then."""
        from core.forecasting.network_training import train_network

        reach = max(self.horizons_)
        return train_network(network, rows, judge, strategy, self.options, reach=reach, seed=seed, is_source=is_source)

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2: the geometric mean of the members."""
        from core.forecasting.network_training import log_variances

        rows = windows_of(series, self.horizons_, first_row)
        logs = np.mean([log_variances(network, rows) for network in self.networks_], axis=0)
        return np.exp(logs) * rows.scale[:, None]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The weights of each member."""
        arrays = {
            f"{place}.{name}": tensor.numpy()
            for place, network in enumerate(self.networks_)
            for name, tensor in network.state_dict().items()
        }
        return {"chosen_sources": list(self.chosen_sources_)}, arrays

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """As `state` gave them."""
        import torch

        self.chosen_sources_ = tuple(values["chosen_sources"])
        self.networks_ = []
        for place in range(self.options.num_members):
            network = new_network(len(self.horizons_), self.options.width, seed=0)
            own = {n.split(".", 1)[1]: torch.from_numpy(a) for n, a in arrays.items() if n.split(".")[0] == str(place)}
            network.load_state_dict(own)
            self.networks_.append(network.eval())


def new_network(num_horizons: int, width: int, seed: int) -> SequenceNetwork:
    """An untrained network, drawn by the seed."""
    import torch

    from core.forecasting.sequence_network import SequenceNetwork

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SequenceNetwork(num_horizons, width).eval()
