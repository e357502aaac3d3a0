"""Every way to ask whether a service is well. A new kind is one module here and one line below."""

from collections.abc import Mapping

from activities.checks.command import CommandCheck
from activities.checks.http import HttpCheck
from activities.ports import ConfiguredCheck

CHECKS: Mapping[str, type[ConfiguredCheck]] = {
    "command": CommandCheck,
    "http": HttpCheck,
}
