"""What must be said of a release when it is made."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from activities.ports import Case, Desk, Judgement
from domain.value import Value


class Required(Value):
    """What the manifest must say."""

    require: Annotated[tuple[Literal["author", "revision", "notes", "signature"], ...], Field(min_length=1)]


class MetadataSettings(Value):
    """What people may write about a metadata rule."""

    metadata: Required


class MetadataRule:
    """Reads the release's manifest."""

    settings: ClassVar[type[Value]] = MetadataSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        del desk  # nothing here is relative to it
        self._required = MetadataSettings.model_validate(settings).metadata.require

    async def judge(self, case: Case) -> Judgement:
        said = {name: str(getattr(case.release, name)).strip() for name in self._required}
        missing = [name for name, text in said.items() if not text]
        if missing:
            options = " ".join(f"--{name} …" for name in missing)
            return Judgement(
                passed=False,
                sentence=f"release {case.release.version} says nothing of its {' and '.join(missing)}: create it "
                f"with {options}",
            )
        return Judgement(passed=True, sentence=f"its {', '.join(self._required)} is said")
