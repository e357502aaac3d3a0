"""What a release must keep to, to be let into an environment, and what was found of it."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final

from pydantic import Field, JsonValue

from domain.names import Identifier
from domain.value import Value, canonical, digest_of, short

MOST_RULES: Final = 50
"""So many an environment may ask for, and a service beside it."""
LONGEST_SENTENCE: Final = 300
ROOM: Final = 6 * 1024
"""Characters of all that rules found, which a proposal carries to wherever it is judged and shown."""
SHORTEST: Final = 56
"""So many of them are left to each, however many there are: half of that is its sentence."""
OUTPUT_ROOM: Final = 4 * 1024
LONGEST_OUTPUT: Final = 2 * 1024


class Weight(StrEnum):
    """What comes of a rule that is not kept."""

    BLOCK = "block"
    """The release is refused."""
    WARN = "warn"
    """Approvers are warned."""
    NOTE = "note"
    """Approvers are told."""


class RuleTerms(Value):
    """One rule. ``settings`` belong to its kind; without a ``name`` it is called by that kind."""

    rule: Identifier
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    severity: Weight = Weight.BLOCK
    name: str = Field(default="", max_length=100)
    message: str = Field(default="", max_length=LONGEST_SENTENCE)
    remedy: str = Field(default="", max_length=LONGEST_SENTENCE)

    @property
    def label(self) -> str:
        return self.name or self.rule

    @property
    def mark(self) -> str:
        """What it asks for, as a word: rules with the same mark ask for the same, whatever is said about them."""
        return short(digest_of(canonical([self.rule, self.settings]).encode()))


def marks_of(rules: Iterable[RuleTerms]) -> tuple[str, ...]:
    """Return the marks of the rules that may refuse a release."""
    return tuple(dict.fromkeys(one.mark for one in rules if one.severity is Weight.BLOCK))


def unjudged(rules: Iterable[RuleTerms], marks: Collection[str]) -> tuple[str, ...]:
    """Name the rules that may refuse a release and are none of those that it was held to."""
    return tuple(one.label for one in rules if one.severity is Weight.BLOCK and one.mark not in marks)


class Ruling(Value):
    """What was found of one rule, in a sentence. A rule that could not be judged has not been kept."""

    rule: Identifier
    name: str
    severity: Weight
    passed: bool
    sentence: str
    remedy: str = ""
    output: str = ""
    """The last lines that a program printed."""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.name}: {self.sentence}{remedy}"


def rule_on(terms: RuleTerms, sentence: str, output: str = "", *, passed: bool) -> Ruling:
    """Return a ruling in the owner's words, where they wrote any, and what was found beside them."""
    said = f"{terms.message} ({sentence})" if terms.message and not passed else sentence
    return Ruling(
        rule=terms.rule,
        name=terms.label,
        severity=terms.severity,
        passed=passed,
        sentence=cut(said, 2 * LONGEST_SENTENCE if terms.message else LONGEST_SENTENCE),
        remedy="" if passed else terms.remedy,
        output=output[-LONGEST_OUTPUT:],
    )


def cut(text: str, length: int) -> str:
    """Return the text in one line, cut where it is longer than this."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def abridged(rulings: Sequence[Ruling]) -> tuple[Ruling, ...]:
    """Return the rulings, so short that a proposal can carry them: what speaks against a release is kept longest."""
    return _with_less_output(_with_fewer_words(_with_fewer_words(rulings, passed=True), passed=False))


def _with_fewer_words(rulings: Sequence[Ruling], *, passed: bool) -> Sequence[Ruling]:
    """Where all of them say too much, cut those that passed, or those that did not, to what is left for each."""
    over = sum(map(_words, rulings)) - ROOM
    chosen = [one for one in rulings if one.passed is passed]
    if over <= 0 or not chosen:
        return rulings
    share = max(SHORTEST, (sum(map(_words, chosen)) - over) // len(chosen))
    return [
        one.but(
            sentence=cut(one.sentence, share // 2),
            remedy=cut(one.remedy, share // 4),
            name=cut(one.name, share // 4),
        )
        if one.passed is passed and _words(one) > share
        else one
        for one in rulings
    ]


def _words(ruling: Ruling) -> int:
    return len(ruling.name) + len(ruling.sentence) + len(ruling.remedy)


def _with_less_output(rulings: Sequence[Ruling]) -> tuple[Ruling, ...]:
    left, kept = OUTPUT_ROOM, dict(enumerate(rulings))
    for place, ruling in sorted(enumerate(rulings), key=lambda one: one[1].passed):
        output = ruling.output[-left:] if left else ""
        left -= len(output)
        kept[place] = ruling.but(output=output)
    return tuple(kept[place] for place in range(len(rulings)))


def refusals(rulings: Iterable[Ruling]) -> tuple[str, ...]:
    """Return what blocks a release, a sentence each."""
    return tuple(str(one) for one in rulings if not one.passed and one.severity is Weight.BLOCK)


def notes(rulings: Iterable[Ruling]) -> tuple[str, ...]:
    """Return what approvers are to know, a sentence each."""
    said = {Weight.WARN: "warning: ", Weight.NOTE: ""}
    return tuple(f"{said[one.severity]}{one}" for one in rulings if not one.passed and one.severity in said)
