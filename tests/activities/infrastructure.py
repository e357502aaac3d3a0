"""Configurations of the one provider that is built in, and a Terraform to apply them with."""

import json
import shutil
from pathlib import Path

import pytest


def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the test where there is no Terraform; else see to it that it reads nobody's own settings."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine: the terraform target is NOT tested")
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)


def contents(version: str, more: str = "") -> dict[str, bytes]:
    """Return a release's files: a site of one resource that knows its version."""
    resource = f'resource "terraform_data" "site" {{\n  input = "{version}"\n}}\n'
    return {"main.tf": f"{resource}{more}".encode(), "index.html": version.encode()}


def in_state(root: Path) -> dict[str, object]:
    """Return what there is, by the state: address → what it was made with."""
    state = json.loads((root / "terraform.tfstate").read_bytes())
    return {
        f"{one['type']}.{one['name']}": one["instances"][0]["attributes"]["input"]["value"]
        for one in state["resources"]
    }
