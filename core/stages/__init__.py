"""One function for each stage of the DVC pipeline: `(vertical, params, artifacts, *, seed, ...)`, no hidden input."""

STAGES = ("prepare", "train", "evaluate", "compare", "export", "report")
