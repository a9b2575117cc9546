"""Where a domain comes from, as reports and model cards show it."""

from __future__ import annotations

from typing import Any

from core.data.domain import DomainSpec


def domain_row(spec: DomainSpec, role: str) -> dict[str, Any]:
    """Provenance of one domain."""
    return {
        "name": spec.name,
        "role": role,
        "title": spec.title or spec.name,
        "licence": spec.licence,
        "source": spec.source,
        "caveats": spec.caveats,
    }
