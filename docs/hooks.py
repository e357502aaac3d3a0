"""What mkdocs makes of the code when it builds the site: tables that stand in pages written by hand, and cannot lag.

A line ``<!-- made of: NAME -->`` in a page is replaced by the table of that name. Each section ``### towpath VERB`` of
the command line's page gets the options of its verb: as a row by hand says, or else as ``--help`` does.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import typer
from temporalio import workflow

from clients import trouble
from clients.cli import app
from domain.names import (
    Subject,
    change_id,
    environment_id,
    lane_id,
    notice_id,
    pipeline_id,
    plan_id,
    promotion_id,
    way_id,
)
from domain.record import Record
from domain.review import review_id
from domain.value import Value
from workers.story import WORKFLOWS

COMMANDS_PAGE: Final = "reference/cli.md"
SECTION: Final = re.compile(r"^(?=##+ )", re.MULTILINE)
VERB: Final = re.compile(r"### towpath (.+)\n")
OPTIONS: Final = re.compile(r"^\| option \| \|\n\|---\|---\|\n((?:\|.*\n?)*)", re.MULTILINE)
ROW: Final = re.compile(r"^\| `(--[a-z-]+)`.*? \| (.*) \|$", re.MULTILINE)
MADE_OF: Final = re.compile(r"^<!-- made of: ([\w ]+) -->$", re.MULTILINE)
_PLACE: Final = Subject(service="SERVICE", environment="ENVIRONMENT")
IDS: Final[Mapping[str, str]] = {
    "PromotionWorkflow": promotion_id(_PLACE, "VERSION"),
    "LaneWorkflow": lane_id(_PLACE),
    "ChangeWorkflow": change_id(_PLACE, 0).replace("/0", "/TURN"),
    "EnvironmentWorkflow": environment_id("ENVIRONMENT"),
    "PipelineWorkflow": pipeline_id("SERVICE", "VERSION"),
    "PlanWorkflow": plan_id(_PLACE, "VERSION"),
    "WayWorkflow": way_id(_PLACE, "VERSION"),
    "NoticeWorkflow": notice_id("KEY"),
    "ReviewWorkflow": review_id(_PLACE, 0).replace("/0", "/TURN"),
}


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Called by mkdocs for each page."""
    return render(markdown, page.file.src_uri)


def render(markdown: str, page: str) -> str:
    """Return a page with everything in it that is made of the code."""
    if page == COMMANDS_PAGE:
        markdown = "".join(map(_with_options, SECTION.split(markdown)))
    return MADE_OF.sub(lambda found: TABLES[found[1]](), markdown)


@functools.cache
def commands() -> dict[str, Any]:
    """Return every verb of the program, as it is typed."""
    return dict(_leaves(typer.main.get_command(app), ""))


def _leaves(command: Any, said: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield said, command
        return
    for name, one in inner.items():
        yield from _leaves(one, f"{said} {name}".strip())


def _with_options(section: str) -> str:
    verb = VERB.match(section)
    if verb is None or verb[1] not in (known := commands()):
        return section
    written = {name: text for table in OPTIONS.findall(section) for name, text in ROW.findall(table)}
    parameters = [
        one for one in known[verb[1]].params if one.param_type_name == "option" and one.name != "help"
    ]
    rows = [(_option(one), written.get(one.opts[0]) or _meaning(one)) for one in parameters]
    return f"{OPTIONS.sub('', section).rstrip()}\n\n{_table(('option', ''), rows) if rows else ''}\n"


def _option(parameter: Any) -> str:
    metavar = "" if parameter.is_flag else f" `{parameter.metavar or 'N'}`"
    return f"`{parameter.opts[0]}`{metavar}{''.join(f', `{one}`' for one in parameter.opts[1:])}"


def _meaning(parameter: Any) -> str:
    """What ``--help`` says, as the other rows of the page are written."""
    said = str(parameter.help).strip().removesuffix(".")
    text = said[:1].lower() + said[1:]
    default = parameter.default
    shown = default and not isinstance(default, bool) and str(default) not in text
    return f"{text}; {default}" if shown else text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _workflows() -> str:
    rows = [
        (f"`{one.name}`", f"`{IDS[str(one.name)]}`", _first_line(one.cls))
        for one in map(workflow._Definition.must_from_class, WORKFLOWS)
    ]
    return _table(("workflow", "id", "what it does"), rows)


def _doors() -> str:
    return "\n".join(
        f"### {one.name}\n\n{_table(('door', 'name', 'takes, and does'), _doors_of(one))}"
        for one in map(workflow._Definition.must_from_class, WORKFLOWS)
    )


def _doors_of(definition: Any) -> Iterator[tuple[str, str, str]]:
    for kind, doors in (("signal", definition.signals), ("update", definition.updates)):
        for name, door in sorted(doors.items(), key=lambda item: str(item[0])):
            takes = str(door.description or "").replace("Input: {", "`{").replace("}", "}`")
            yield kind, f"`{name}`" if name else "any other", takes
    for name, door in sorted(definition.queries.items()):
        fields = ", ".join(f"`{field}`" for field in door.ret_type.model_fields)
        yield "query", f"`{name}`", f"{_first_line(door.ret_type)} {fields}"


def _records() -> str:
    kinds: tuple[type[Value], ...] = get_args(get_args(Record)[0])
    shared = {"at", "previous", "record"}
    rows = [
        (
            f"`{kind.model_fields['record'].default}`",
            _first_line(kind),
            ", ".join(f"`{name}`" for name in kind.model_fields if name not in shared),
        )
        for kind in kinds
    ]
    return _table(("record", "when", "holds, beside `at` and `previous`"), rows)


def _errors() -> str:
    kinds = sorted(
        (
            one
            for one in vars(trouble).values()
            if isinstance(one, type) and issubclass(one, trouble.ClientError)
        ),
        key=lambda kind: (kind is not trouble.ClientError, kind.exit),
    )
    rows = [(f"`{kind.__name__}`", f"{kind.exit:d}", _first_line(kind)) for kind in kinds]
    return _table(("error", "exit code", "when"), rows)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "workflows": _workflows,
    "doors": _doors,
    "records": _records,
    "errors": _errors,
}
