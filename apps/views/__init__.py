"""One module a page: `show(page)` draws it."""
