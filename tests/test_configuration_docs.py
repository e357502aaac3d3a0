"""The reference of the configuration keeps up with what can be configured."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from activities.checks import CHECKS
from activities.configuration_folder import read_folder
from activities.git.settings import Credentials, Write
from activities.rules import RULES
from activities.targets import TARGETS
from domain.approval_written import Approval, Hotfix
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
from domain.notice import Route
from domain.override import OverrideRole
from domain.risk import RiskTable
from domain.roles import Holders, Roles
from domain.rule import RuleTerms
from domain.terms import CheckTerms
from domain.urgency import BreakGlass
from domain.value import Value, say_duration
from domain.windows import PlannedFreeze, Window
from domain.written import (
    CHECK_KEYS,
    PLACE_KEYS,
    RULE_KEYS,
)

REFERENCE = (Path(__file__).parent.parent / "docs/reference/configuration.md").read_text()
MODELS: dict[str, type[Value]] = {
    "## towpath.yaml": Organisation,
    "## Notifications": Route,
    "## environments/&lt;name&gt;.yaml": EnvironmentFile,
    "## services/&lt;name&gt;.yaml": ServiceFile,
    "## Component": ComponentFile,
    "## Environment of a service": ServiceEnvironment,
    "## Approval": Approval,
    "## Roles": Roles,
    "## Holders of a role": Holders,
    "## Hotfix": Hotfix,
    "## Break_glass": BreakGlass,
    "## Override": OverrideRole,
    "## Windows": Window,
    "## Planned freezes": PlannedFreeze,
    "## Health checks": CheckTerms,
    "## Risk": RiskTable,
    "## Rules": RuleTerms,
    "## Writes of git": Write,
    "## Credentials of git": Credentials,
}
NOT_WRITTEN: dict[type[Value], set[str]] = {
    ServiceEnvironment: {
        name
        for name, field in ServiceEnvironment.model_fields.items()
        if (field.alias or name) not in PLACE_KEYS
    },
    CheckTerms: set(CheckTerms.model_fields) - set(CHECK_KEYS),
    RuleTerms: set(RuleTerms.model_fields) - set(RULE_KEYS),
}
KINDS: dict[str, type[Value]] = {
    **{f"Health checks/{name}": kind.settings for name, kind in CHECKS.items()},
    **{f"Targets/{name}": kind.settings for name, kind in TARGETS.items()},
    **{f"Rules/{name}": kind.settings for name, kind in RULES.items()},
}


def section(heading: str) -> str:
    _, _, rest = REFERENCE.partition(f"\n{heading}\n")
    return re.split(r"\n##+ ", rest, maxsplit=1)[0]


def rows(text: str) -> dict[str, str]:
    """Return key → default, of the table in a section."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): row[2].strip() for row in cells}


def said(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case timedelta() as length:
            return f"`{say_duration(length)}`"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case () | {} | None | "" | Roles():
            return "none"
        case (only, *others):
            return f"`[{', '.join(map(str, (only, *others)))}]`" if others else f"`{only}`"
        case other:
            return f"`{other}`"


def described() -> Iterator[tuple[str, str, type[Value]]]:
    for heading, model in MODELS.items():
        yield heading, section(heading), model
    for name, model in KINDS.items():
        chapter, _, kind = name.partition("/")
        within = REFERENCE.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
        yield name, re.split(r"\n###? ", within.partition(f"\n### {kind}\n")[2], maxsplit=1)[0], model


@pytest.mark.parametrize(
    ("text", "model"), [pytest.param(text, model, id=heading) for heading, text, model in described()]
)
def test_every_key_is_described_with_its_default(text: str, model: type[Value]) -> None:
    """A key that is not in the reference, one that is gone, or another default fails the build."""
    written = {
        name: field for name, field in model.model_fields.items() if name not in NOT_WRITTEN.get(model, ())
    }

    table = rows(text)

    assert set(table) == {field.alias or name for name, field in written.items()}
    for name, field in written.items():
        default = table[field.alias or name]
        is_elsewhere = said(field) == "none" and default.startswith("the ")
        assert is_elsewhere or default == said(field), name


def test_the_examples_are_a_configuration(tmp_path: Path) -> None:
    """What the reference shows can be copied: it reads without a mistake."""
    organisation, environment, service = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
    (tmp_path / "environments").mkdir()
    (tmp_path / "services").mkdir()
    (tmp_path / "towpath.yaml").write_text(organisation)
    (tmp_path / "environments/production.yaml").write_text(environment)
    (tmp_path / "environments/staging.yaml").write_text("environment: staging\n")
    (tmp_path / "services/storefront.yaml").write_text(service)

    configuration = read_folder(tmp_path, TARGETS, CHECKS, RULES)

    assert list(configuration.services["storefront"].environments) == ["staging", "production"]
