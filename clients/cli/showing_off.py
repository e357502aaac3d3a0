"""``demo``."""

from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", help="Approve what is to be approved without asking.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")]


def demo(yes: Yes = False, keep: Keep = False) -> None:
    """Walk a sample site through three environments, and back, on this machine."""
    from clients.cli.demo import run

    raise typer.Exit(run(yes=yes, keep=keep))
