"""Real OpenSSH, real keys: who is to sign decisions and cannot any more."""

from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from activities.lost_keys import find_lost_keys
from activities.signers import OpenSshSigners
from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
from domain.release import Kind
from domain.statement import Purpose, Statement
from tests.fakes import ShiftedClock
from tests.people import People, needs_openssh, ssh_keygen

pytestmark = needs_openssh
BO, CY = "bo@example.com", "cy@example.com"
FLOOR: Final = "environment: production\napproval:\n  quorum: 1\n  from: [approvers]\n  signed: true\n"
STATEMENT = Statement(purpose=Purpose.DECISION, by=BO, text="{}\n")
YESTERDAY: Final = "YESTERDAY"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


class Case(NamedTuple):
    """Bo's lines, each the options and whose key it is; what is revoked; what is warned of."""

    lines: tuple[tuple[str, str], ...]
    revoked: tuple[str, ...] = ()
    why: str = ""


CASES: Final = {
    "a good key": Case((("", BO),)),
    "a key that ends later": Case((('valid-before="21000101"', BO),)),
    "a key that ended": Case((("valid-before=20250101", BO),), (), "their key has ended in allowed_signers"),
    "to the second": Case(
        ((f'Valid-Before="{YESTERDAY}Z",namespaces="decision@*"', BO),), (), "their key has ended"
    ),
    "a revoked key": Case((("", BO),), (BO,), "their key is in revoked_keys"),
    "another's revoked key": Case((("", BO),), (CY,)),
    "one of two": Case((("", BO), ("", "second")), (BO,)),
    "both": Case((("", BO), ('valid-before="20250101"', "second")), (BO,), "each key of theirs has ended"),
    "a line that ended and goes on": Case((('valid-before="20250101"', BO), ('valid-after="20250101"', BO))),
    "one that signs releases alone is left": Case(
        (('namespaces="decision@towpath"', BO), ('namespaces="release@towpath"', "second")),
        (BO,),
        "their key is in revoked_keys",
    ),
}


@pytest.mark.parametrize("form", ["lines", "list"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_an_approver_who_lost_every_key_is_warned_of_exactly_where_openssh_takes_none(
    people: People, tmp_path: Path, case: Case, form: str
) -> None:
    """By whatever is written in either file; whoever has a key left is not named."""
    clock = ShiftedClock()
    yesterday = f"{clock.now() - timedelta(days=1):%Y%m%d%H%M%S}"
    (tmp_path / "allowed_signers").write_text(
        f"# who signs\n{CY} {people.public(CY)}\n"
        + "".join(
            f"{BO} {options.replace(YESTERDAY, yesterday)} {people.public(whose)}\n"
            for options, whose in case.lines
        )
    )
    people.revoke(tmp_path, *case.revoked)
    if form == "list":
        named = (f"{people.key(name)}.pub" for name in case.revoked)
        ssh_keygen("-q", "-k", "-f", str(tmp_path / "revoked_keys"), *named)

    warned = [str(one) for one in find_lost_keys(tmp_path, configured(tmp_path), clock) if BO in one.problem]

    usable = [
        whose
        for _, whose in case.lines
        if not await OpenSshSigners(tmp_path).why_not(STATEMENT, signed(people, whose), clock.now())
    ]
    assert bool(warned) == (not usable) == bool(case.why)
    if case.why:
        (one,) = warned
        assert one.startswith(
            f"environments/production.yaml:5: approval.signed: {BO} cannot sign any more: {case.why}"
        )


def signed(people: People, whose: str) -> str:
    return ssh_keygen(
        *("-Y", "sign", "-q", "-f", str(people.key(whose)), "-n", STATEMENT.purpose), stdin=STATEMENT.text
    )


def configured(folder: Path, *, is_signed: bool = True) -> Configuration:
    (folder / "environments").mkdir(exist_ok=True)
    (folder / "environments/production.yaml").write_text(FLOOR)
    floor = Approval.model_validate({"quorum": 1, "from": ["approvers"], "signed": is_signed})
    return Configuration(
        organisation=Organisation(groups={"approvers": (BO, CY)}),
        environments={"production": EnvironmentFile(environment="production", approval=floor)},
        services={
            "shop": ServiceFile(
                service="shop",
                components={"site": ComponentFile(kind=Kind.CONTENT)},
                environments={"production": ServiceEnvironment()},
            )
        },
    )


def test_where_nobody_signs_and_nothing_can_be_read_nobody_is_warned_of(
    people: People, tmp_path: Path
) -> None:
    """A lost key is nothing to somebody who signs nothing; what cannot be read is said elsewhere."""
    people.allow(tmp_path, {BO: BO, CY: CY})
    people.revoke(tmp_path, BO, CY)
    clock = ShiftedClock()

    assert len(find_lost_keys(tmp_path, configured(tmp_path), clock)) == len((BO, CY))
    assert not find_lost_keys(tmp_path, configured(tmp_path, is_signed=False), clock)
    (tmp_path / "allowed_signers").write_bytes(b"\xff")
    assert not find_lost_keys(tmp_path, configured(tmp_path), clock)
    (tmp_path / "allowed_signers").unlink()
    assert not find_lost_keys(tmp_path, configured(tmp_path), clock)
