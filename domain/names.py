"""Every name that another process must know: identifiers, ids, task queues, search attributes, store keys."""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator

from domain.value import Value

LONGEST_NAME: Final = 63
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def is_identifier(text: str) -> bool:
    """Tell whether a text may name a service, environment, component or version.

    Letters, digits, dot, dash and underscore; a letter or digit at both ends; at most 63 characters: safe in
    workflow ids, paths, queues, image tags and environment variables alike.
    """
    return len(text) <= LONGEST_NAME and _IDENTIFIER.fullmatch(text) is not None


def _check(text: str) -> str:
    if not is_identifier(text):
        shown = text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
        message = (
            f"“{shown}” cannot be a name: use letters, digits, dot, dash and underscore, "
            f"a letter or digit at both ends, at most {LONGEST_NAME} characters"
        )
        raise ValueError(message)
    return text


Identifier = Annotated[str, AfterValidator(_check)]


class Subject(Value):
    """What a change is about: one service in one environment."""

    service: Identifier
    environment: Identifier

    def __str__(self) -> str:
        return f"{self.service} in {self.environment}"


class MisnamedWorkflowError(ValueError):
    """A workflow was started under an id that does not say what it is about."""


def promotion_id(subject: Subject, version: str) -> str:
    return f"promotion/{subject.service}/{subject.environment}/{version}"


def plan_id(subject: Subject, version: str) -> str:
    return f"plan/{subject.service}/{subject.environment}/{version}"


def way_id(subject: Subject, version: str) -> str:
    return f"way/{subject.service}/{subject.environment}/{version}"


def pipeline_id(service: str, version: str) -> str:
    return f"pipeline/{service}/{version}"


def lane_id(subject: Subject) -> str:
    return f"lane/{subject.service}/{subject.environment}"


def change_id(subject: Subject, turn: int) -> str:
    return f"change/{subject.service}/{subject.environment}/{turn}"


def environment_id(environment: str) -> str:
    return f"environment/{environment}"


def notice_id(key: str) -> str:
    return f"notice/{key.removeprefix('sha256:')[:32]}"


_FORMS: Final = {
    "promotion": "<service>/<environment>/<version>",
    "plan": "<service>/<environment>/<version>",
    "way": "<service>/<environment>/<version>",
    "pipeline": "<service>/<version>",
    "lane": "<service>/<environment>",
    "change": "<service>/<environment>/<turn>",
    "review": "<service>/<environment>/<turn>",
    "environment": "<environment>",
}
"""What stands behind the story in the id of its workflow."""


def read_id(workflow_id: str, story: str) -> tuple[str, ...]:
    """Take a workflow id apart: ``promotion/shop/production/1.4.0`` → ``("shop", "production", "1.4.0")``.

    A turn is in plain digits. Raises ``MisnamedWorkflowError`` with a sentence where the id is not of that story.
    """
    form = _FORMS[story]
    kind, *names = workflow_id.split("/")
    is_whole = kind == story and len(names) == form.count("<") and all(map(is_identifier, names))
    if is_whole and (not form.endswith("<turn>") or _is_turn(names[-1])):
        return tuple(names)
    message = (
        f"A {story} workflow must be started under the id {story}/{form}; “{workflow_id[:200]}” is not one."
    )
    raise MisnamedWorkflowError(message)


def _is_turn(text: str) -> bool:
    return text.isdecimal() and str(int(text)) == text


def names_in(workflow_id: str, count: int) -> tuple[str, ...]:
    """Return what stands behind the story in an id, as it stands there; empty texts for what is not there.

    For whoever has to say something before the id is checked: ``read_id`` checks it.
    """
    _, *names = workflow_id.split("/")
    return (*names, *[""] * count)[:count]


def is_promotion(workflow_id: str) -> bool:
    """Tell whether an id says that it is a promotion's: people who ask by a command have another."""
    return workflow_id.startswith("promotion/")


def is_number(text: str) -> bool:
    """Tell whether a text is a number in the one way in which keys have it."""
    return len(text) <= _LONGEST_NUMBER and text.isdecimal() and str(int(text)) == text


ENGINE_QUEUE: Final = "towpath"
"""Where workflows and their local activities run."""


def effects_queue(environment: str) -> str:
    """Name the queue that only this environment's own workers serve."""
    return f"{ENGINE_QUEUE}/{environment}"


def environment_of(queue: str) -> str:
    """Name the environment whose workers serve a queue."""
    return queue.rpartition("/")[2]


_LONGEST_NUMBER: Final = 18

SERVICE: Final = "TowpathService"
ENVIRONMENT: Final = "TowpathEnvironment"
STORY: Final = "TowpathStory"
RELEASE: Final = "TowpathRelease"
PHASE: Final = "TowpathPhase"
OUTCOME: Final = "TowpathOutcome"
ACTOR: Final = "TowpathActor"
SEARCH_ATTRIBUTES: Final = (SERVICE, ENVIRONMENT, STORY, RELEASE, PHASE, OUTCOME, ACTOR)
"""All Keyword. Visibility on SQL allows ten of them in a namespace."""


TRANSCRIPTS: Final = "logs"
"""The folder of the release store that holds what programs printed."""
TRAILS: Final = "record"
"""The folder of the release store that holds the records of promotions."""
LEDGERS: Final = "ledger"
"""The folder of the release store that holds what stands for those records."""
GATE_WORDS: Final = "gate"
"""The folder of the release store that holds what workers remember of gates."""
LOGBOOKS: Final = "logbook"
"""The folder of the release store that holds what was said and tried in each environment."""


def manifest_key(service: str, version: str) -> str:
    return f"release/{service}/{version}.json"


def artifact_key(digest: str) -> str:
    return f"artifact/{digest.replace(':', '/')}.tar"


def quarantine_key(service: str, version: str, number: int) -> str:
    return f"{quarantine_prefix(service, version)}/{number}.json"


def quarantine_prefix(service: str, version: str) -> str:
    return f"quarantine/{service}/{version}"


def gate_key(environment: str, gate: str, service: str | None, at: datetime, nonce: str) -> str:
    """Name the place of a word about a gate: whatever was signed later comes later in a list."""
    moment = round(at.timestamp() * 1_000_000)
    return f"{gate_prefix(environment, gate, service)}/{moment:017d}-{nonce}.json"


def gate_prefix(environment: str, gate: str, service: str | None) -> str:
    return "/".join(filter(None, (GATE_WORDS, environment, gate, service)))


def journal_key(subject: Subject, turn: int, act: int) -> str:
    return f"{journal_prefix(subject)}/{turn}/{act}.json"


def journal_prefix(subject: Subject) -> str:
    """Name the folder of a subject's journal: no bare prefix, since ``prod`` also begins ``production``."""
    return f"journal/{subject.service}/{subject.environment}"


def receipt_key(subject: Subject, turn: int) -> str:
    return f"{receipt_prefix(subject)}/{turn}.json"


def receipt_prefix(subject: Subject) -> str:
    """Name the folder of a subject's receipts, likewise."""
    return f"receipt/{subject.service}/{subject.environment}"


def trail_prefix(subject: Subject, version: str, run: str) -> str:
    """Name the folder of the records of one promotion, in one run of its workflow."""
    return f"{TRAILS}/{subject.service}/{subject.environment}/{version}/{run}"


def segment_key(subject: Subject, version: str, run: str, first: int) -> str:
    return f"{trail_prefix(subject, version, run)}/{first}.json"


def ledger_prefix(subject: Subject) -> str:
    """Name the folder of a lane's ledger, likewise."""
    return f"{LEDGERS}/{subject.service}/{subject.environment}"


def page_key(subject: Subject, number: int) -> str:
    return f"{ledger_prefix(subject)}/{number}.json"


def log_prefix(environment: str) -> str:
    """Name the folder of an environment's logbook, likewise."""
    return f"{LOGBOOKS}/{environment}"


def log_key(environment: str, number: int) -> str:
    return f"{log_prefix(environment)}/{number}.json"


def review_key(subject: Subject, turn: int, what: str) -> str:
    return f"{review_prefix(subject)}/{turn}/{what}.json"


def review_prefix(subject: Subject) -> str:
    """Name the folder of what was done to a subject in an emergency, likewise."""
    return f"review/{subject.service}/{subject.environment}"


def transcript_key(subject: Subject, turn: int, piece: str) -> str:
    return f"{transcript_prefix(subject)}/{turn}/{piece}.json"


def transcript_prefix(subject: Subject) -> str:
    """Name the folder of what was printed at a subject, likewise."""
    return f"{TRANSCRIPTS}/{subject.service}/{subject.environment}"
