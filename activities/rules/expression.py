"""A policy in CEL, over all that is known of a promotion."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, JsonValue

from activities.expressions import check_expression
from activities.ports import Case, Desk, Judgement
from domain.rule import cut
from domain.value import Value


class ExpressionSettings(Value):
    """What people may write about an expression rule."""

    expression: Annotated[str, AfterValidator(check_expression)]


class ExpressionRule:
    """Is kept where its expression is true; one that takes too long, or has no truth to it, is not."""

    settings: ClassVar[type[Value]] = ExpressionSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        del desk  # nothing here is relative to it
        self._expression = ExpressionSettings.model_validate(settings).expression

    async def judge(self, case: Case) -> Judgement:
        true, why = await case.holds(self._expression)
        shown = cut(self._expression, 120)
        if true is None:
            return Judgement(passed=False, sentence=f"“{shown}” could not be judged: {why}")
        return Judgement(passed=true, sentence=f"“{shown}” is {str(true).lower()}")
