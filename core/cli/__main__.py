"""`python -m core.cli`: the same as `crossdomain`."""

from core.cli import main

main()
