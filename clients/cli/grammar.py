"""How people name things on the command line, one way everywhere.

A promotion is ``SERVICE VERSION ENVIRONMENT`` or its id, ``promotion/SERVICE/ENVIRONMENT/VERSION``. A lane is
``SERVICE ENVIRONMENT`` or ``lane/SERVICE/ENVIRONMENT``.
"""

from typing import Annotated, Final

import typer

from clients.trouble import UsageError
from domain.names import Subject, is_identifier, lane_id, promotion_id

PROMOTION_WORDS: Final = 3
LANE_WORDS: Final = 2


def _named(context: typer.Context, parameter: typer.CallbackParam, name: str) -> str:
    """Refuse a name that was given and is empty, as that of a variable that is not set: somebody else would act."""
    source = context.get_parameter_source(parameter.name or "")
    if source and source.name == "COMMANDLINE" and not name.strip():
        message = "--by names nobody: say who acts, or leave it out."
        raise UsageError(message)
    return name


By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="NAME",
        help="Who acts; else TOWPATH_BY, git's user.email, or the login.",
        callback=_named,
    ),
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="FILE",
        help="Sign with this OpenSSH key; else with that of TOWPATH_SIGNING_KEY. For an agent's, its public half.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody to read.")]
Comment = Annotated[
    str, typer.Option("--comment", "--reason", metavar="TEXT", help="What you want to say about it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of sentences.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end, and exit as it ended.")]
Again = Annotated[
    bool, typer.Option("--watch", "-w", help="Show it again whenever it has changed, every few seconds.")
]
Service = Annotated[str, typer.Argument(metavar="SERVICE", show_default=False)]
Version = Annotated[str, typer.Argument(metavar="VERSION", show_default=False)]
MaybeEnvironment = Annotated[str, typer.Argument(metavar="[ENVIRONMENT]", show_default=False)]
Through = Annotated[
    list[str] | None,
    typer.Option(
        "--through",
        metavar="ENVIRONMENT",
        help="Walk there, by way of whatever lies before it; repeat it for more.",
        show_default=False,
    ),
]
EnvironmentName = Annotated[str, typer.Argument(metavar="ENVIRONMENT", show_default=False)]
ForService = Annotated[str, typer.Option("--service", metavar="SERVICE", help="Only of this service.")]
ForEnvironment = Annotated[
    str, typer.Option("--environment", metavar="ENVIRONMENT", help="Only in this environment.")
]
PromotionWords = Annotated[
    list[str], typer.Argument(metavar="SERVICE VERSION ENVIRONMENT | ID", show_default=False)
]
ChangeWords = Annotated[
    list[str],
    typer.Argument(metavar="SERVICE [VERSION] ENVIRONMENT | ID", show_default=False),
]
StatusWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE [VERSION] [ENVIRONMENT] | ID]", show_default=False),
]


def read_promotion(words: list[str]) -> tuple[str, str, str]:
    """Return service, version and environment. Raises ``UsageError`` where the words name no promotion."""
    if len(words) == 1 and "/" in words[0]:
        kind, *names = words[0].split("/")
        if kind == "promotion" and len(names) == PROMOTION_WORDS and all(map(is_identifier, names)):
            service, environment, version = names
            return service, version, environment
    if len(words) == PROMOTION_WORDS:
        service, version, environment = words
        return service, version, environment
    raise UsageError(
        f"{_said(words)} names no promotion. Write SERVICE VERSION ENVIRONMENT, as in `storefront 2.0.0 "
        "production`, or its id, as in `promotion/storefront/production/2.0.0`."
    )


def read_walk(words: list[str]) -> tuple[str, str] | None:
    """Return the service and version of a walk, or None where the words are not the id of one."""
    if len(words) != 1 or not words[0].startswith("pipeline/"):
        return None
    _, service, version = _read_id(words[0]).split("/")
    return service, version


def read_workflow_id(words: list[str]) -> str:
    """Return the id that these words name. Raises ``UsageError`` where they name nothing of ours."""
    if len(words) == 1 and "/" in words[0]:
        return _read_id(words[0])
    for word in words:
        if not is_identifier(word):
            raise UsageError(
                f"{_said([word])} cannot be a name: use letters, digits, dot, dash and underscore, a "
                "letter or digit at both ends, at most 63 characters."
            )
    if len(words) == PROMOTION_WORDS:
        service, version, environment = words
        return promotion_id(Subject(service=service, environment=environment), version)
    if len(words) == LANE_WORDS:
        return lane_id(Subject(service=words[0], environment=words[1]))
    raise UsageError(
        f"{_said(words)} does not say which change. Write SERVICE ENVIRONMENT for what goes on there, as in "
        "`storefront production`, SERVICE VERSION ENVIRONMENT for a promotion, or an id."
    )


_PARTS: Final = {
    "promotion": 3,
    "pipeline": 2,
    "change": 3,
    "plan": 3,
    "way": 3,
    "lane": 2,
    "environment": 1,
}


def _read_id(text: str) -> str:
    kind, *names = text.split("/")
    if _PARTS.get(kind) == len(names) and all(map(is_identifier, names)):
        return text
    raise UsageError(
        f"{_said([text])} is no id. Ids are promotion/SERVICE/ENVIRONMENT/VERSION, lane/SERVICE/ENVIRONMENT, "
        "pipeline/SERVICE/VERSION, change/SERVICE/ENVIRONMENT/TURN and environment/ENVIRONMENT."
    )


def _said(words: list[str]) -> str:
    said = " ".join(words)
    return f"“{said[:80]}{'…' if len(said) > 80 else ''}”"
