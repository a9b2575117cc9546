"""The registry's versions and its champion, told to an MLflow server by its REST interface; no MLflow is needed here.

The files in registry/ stay the truth: a server that is away stops nothing, and the next time tells it what it missed.
MLflow holds names, lineage and metrics as tags and the alias `champion`; the models themselves stay with DVC.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.lifecycle.registry.records import Version, list_versions
from core.lifecycle.registry.stages import read_stages
from core.lifecycle.sending import SendingError, address_of, address_problem, call_json
from core.strict import STRICT

ALIAS, OWN_TAG = "champion", "crossdomain_version"
NOT_FOUND, PAGE = 404, 200


@dataclass(frozen=True, config=STRICT)
class MlflowParams:
    """url: of the tracking server, "$NAME": the environment variable's value; empty: none is told.

    model_name: the registered model; empty: crossdomain-VERTICAL. token_variable: name of the environment variable with
    a bearer's token, where the server asks for one.
    """

    url: str = ""
    model_name: str = ""
    token_variable: str = "MLFLOW_TRACKING_TOKEN"
    timeout_seconds: float = Field(default=10.0, gt=0.0, le=300.0)

    def __post_init__(self) -> None:
        if problem := address_problem(self.url):
            raise BadParamsError(
                f"params.yaml: mlflow.url {problem}.", repair="Give https://... or $NAME of an environment variable."
            )


class MlflowMirror:
    """One registered model of one server."""

    def __init__(self, params: MlflowParams, vertical: str) -> None:
        self._url = params.url
        self._token, self._timeout = os.environ.get(params.token_variable, ""), params.timeout_seconds
        self.model_name = params.model_name or f"crossdomain-{vertical}"

    def update(self, root: Path, vertical: str) -> dict[str, Any]:
        """Tell what is missing there; `{model, added, champion}`: new versions, and MLflow's number of the champion.

        Raises:
            SendingError: the address is not set, or the server cannot be reached or refuses.
        """
        self._make_sure_of_model(vertical)
        there = self._versions()
        added = [version for version in list_versions(root, vertical) if version.version not in there]
        for version in added:
            there[version.version] = self._create(version)
        champion = read_stages(root, vertical).champion
        if champion is not None:
            told = {"name": self.model_name, "alias": ALIAS, "version": there[champion]}
            self._call("registered-models/alias", told)
        return {
            "model": self.model_name,
            "added": [version.version for version in added],
            "champion": there.get(champion or ""),
        }

    def _make_sure_of_model(self, vertical: str) -> None:
        try:
            self._ask("registered-models/get", name=self.model_name)
        except SendingError as error:
            if error.status != NOT_FOUND:
                raise
            description = f"{vertical}: versions of registry/{vertical}; the models are in DVC."
            self._call("registered-models/create", {"name": self.model_name, "description": description})

    def _versions(self) -> dict[str, str]:
        """Own version -> MLflow's number, of all pages."""
        quoted = self.model_name.replace("'", "\\'")
        found, page = {}, ""
        while True:
            more = {"page_token": page} if page else {}
            told = self._ask("model-versions/search", filter=f"name='{quoted}'", max_results=PAGE, **more)
            for one in told.get("model_versions", []):
                tags = {tag["key"]: tag.get("value", "") for tag in one.get("tags", [])}
                if OWN_TAG in tags:
                    found[tags[OWN_TAG]] = str(one["version"])
            page = told.get("next_page_token") or ""
            if not page:
                return found

    def _create(self, version: Version) -> str:
        """MLflow's number of a new version."""
        tags = {
            OWN_TAG: version.version,
            "created_at": version.created_at,
            "model_digest": version.model_digest,
            "data_md5": version.lineage.data_md5,
            "code_commit": version.lineage.code_commit,
            "is_code_dirty": str(version.lineage.is_code_dirty).lower(),
            "target_domain": version.target_domain,
            **{f"metric.{name}": _number(value) for name, value in version.metrics.items()},
        }
        values = {
            "name": self.model_name,
            "source": f"dvc://models/{version.vertical}/{version.version}",
            "description": version.notes,
            "tags": [{"key": key, "value": value} for key, value in tags.items() if value],
        }
        return str(self._call("model-versions/create", values)["model_version"]["version"])

    def _call(self, path: str, values: dict[str, Any]) -> dict[str, Any]:
        return call_json(self._address(path), values, token=self._token, timeout_seconds=self._timeout)

    def _ask(self, path: str, **query: Any) -> dict[str, Any]:
        address = f"{self._address(path)}?{urlencode(query, quote_via=quote)}"
        return call_json(address, method="GET", token=self._token, timeout_seconds=self._timeout)

    def _address(self, path: str) -> str:
        return f"{address_of(self._url).rstrip('/')}/api/2.0/mlflow/{path}"


def tell_mlflow(root: Path, vertical: str, params: MlflowParams) -> dict[str, Any]:
    """`MlflowMirror.update`, empty where no server is set; what failed stands under `error` and stops nothing."""
    if not params.url:
        return {}
    mirror = MlflowMirror(params, vertical)
    try:
        return mirror.update(root, vertical)
    except (SendingError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, SendingError) else f"an answer without {error}"
        return {"model": mirror.model_name, "error": reason}


def _number(value: Any) -> str:
    """A metric's value as text; empty where it was not measured."""
    found = value.get("value") if isinstance(value, dict) else value
    return f"{found:.6g}" if isinstance(found, int | float) else ""
