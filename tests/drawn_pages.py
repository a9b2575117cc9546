"""Pages of the dashboard drawn without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

SECONDS = 60


def draw(name, root, vertical, role, language):
    """What AppTest runs: one page for one visitor."""
    from pathlib import Path

    from apps.dashboard import show_view
    from apps.page import Visitor

    show_view(name, Visitor("ann", role), Path(root), vertical, language)


def open_page(root, name, vertical="credit_risk", *, role="owner", language="en", query=None, after=None):
    """The page after its first run; `after`: a page of the same session, of which it remembers what it scored."""
    test = AppTest.from_function(draw, args=(name, str(root), vertical, role, language), default_timeout=SECONDS)
    for key, value in (query or {}).items():
        test.query_params[key] = value
    if after is not None:
        test.session_state[f"recent_{vertical}"] = after.session_state[f"recent_{vertical}"]
    return test.run()


def texts_of(test):
    """Everything that the page says in words."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "success", "text", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(test, kind))
