"""The verticals: one package a field of application. `core.vertical` finds them; nothing is listed here."""
