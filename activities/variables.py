"""The worker's own variables, for what the configuration names and must not hold: secrets."""

import os


def variable(name: str) -> str:
    """Return a variable's value, or nothing where there is none."""
    return os.environ.get(name, "")  # noqa: TID251 - that is what it is for
