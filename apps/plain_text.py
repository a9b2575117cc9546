"""Words that came from a user's data, shown as they are: no markdown, no link, no picture from elsewhere."""

from __future__ import annotations

import re

# What Streamlit's markdown gives a meaning to: emphasis, links, code, tables, HTML, maths, emoji and colour names.
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~$:.-])")


def plain(text: object) -> str:
    """The text with every mark of markdown escaped, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
