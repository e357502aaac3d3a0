"""What a page of a logbook comes to, for whoever reads the evidence: a sentence each."""

from domain.audit import Noted
from domain.logbook import Attempt, OverrideNote, QuarantineNote, TidingsNote, WordNote
from domain.saying import Saying
from domain.value import say_duration


def tell_note(noted: Noted) -> str:
    """Say what was said, met or tried, by whom as far as that is proven, and why."""
    note, by = noted.note, noted.by
    match note:
        case WordNote(saying=saying):
            return f"{by} said {_what(saying)}{_why(saying.text)}"
        case TidingsNote(record=record, of=of):
            return f"{by} said {record.did} to {of}{_why(record.comment)}"
        case OverrideNote(override=override):
            return f"a deed met an override: {override.told(by)}"
        case QuarantineNote(quarantine=record):
            did = "released from" if record.lifted else "put into"
            moment = f"by {by} at {record.at:%Y-%m-%d %H:%M %Z}{_why(record.reason)}"
            return f"a promotion met {record.version} of {record.service}, {did} quarantine {moment}"
        case Attempt():
            return _tell_attempt(note, str(by) if by else "")


def _what(saying: Saying) -> str:
    lasts = f" for {say_duration(saying.lasts)}" if saying.lasts else ""
    kept = f", which holds {saying.release}" if saying.release else ""
    return f"{saying.door} to {saying.to}{f' of {saying.service}' if saying.service else ''}{kept}{lasts}"


def _tell_attempt(attempt: Attempt, claimed: str) -> str:
    about = f" for {attempt.subject}" if attempt.subject else ""
    name = f", in the name of {claimed}" if claimed else ""
    times = f" ({attempt.times} times)" if attempt.times > 1 else ""
    return f"{attempt.what}{about}, by {attempt.by}{name}{times}{_why(attempt.why)}"


def _why(text: str) -> str:
    return f": {text}" if text else ""
