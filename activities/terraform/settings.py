"""What people may write about a terraform target."""

import json
import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, JsonValue

from activities.terraform.plans import Action
from domain.value import Duration, Value

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text) or text.startswith(("TOWPATH_", "TEMPORAL_")):
        raise ValueError(
            "this is the name of a variable of the worker's, such as SHOP_DB_PASSWORD, never the secret itself; "
            "TOWPATH_… and TEMPORAL_… are kept from programs"
        )
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"“{text[:80]}” cannot be the name of a variable of Terraform's")
    return text


def _inside(text: str) -> str:
    if text != "." and any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError(f"“{text[:120]}” is no folder in a release: write it as in infra/production")
    return text


Name = Annotated[str, AfterValidator(_name)]


class TerraformSettings(Value):
    """What people may write about a terraform target."""

    root: str = Field(min_length=1)
    program: str = Field(default="terraform", min_length=1)
    folder: Annotated[str, AfterValidator(_inside)] = "."
    workspace: str = Field(default="default", pattern=r"^[A-Za-z0-9_.-]{1,90}$")
    variables: dict[Name, JsonValue] = {}
    secrets: dict[Name, Annotated[str, AfterValidator(_variable)]] = {}
    backend_config: dict[Name, str] = {}
    forbid: tuple[Action, ...] = (Action.DELETE, Action.REPLACE)
    adopt: bool = False
    drift: bool = True
    timeout: Duration = timedelta(minutes=30)
    grace: Duration = timedelta(minutes=1)
    keep: int = Field(default=5, ge=1, le=1000)

    @property
    def environment(self) -> dict[str, str]:
        """The variables, as the program takes them; secrets are not among them."""
        return {
            f"TF_VAR_{name}": text if isinstance(text, str) else json.dumps(text)
            for name, text in self.variables.items()
        }
