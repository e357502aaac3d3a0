"""Every kind of rule that a release can be held to. A new kind is one module here and one line below."""

from collections.abc import Mapping

from activities.ports import ConfiguredRule
from activities.rules.callback import CallbackRule
from activities.rules.command import CommandRule
from activities.rules.expression import ExpressionRule
from activities.rules.files import FilesRule
from activities.rules.metadata import MetadataRule
from activities.rules.release_size import ReleaseSizeRule
from activities.rules.way import WayRule

RULES: Mapping[str, type[ConfiguredRule]] = {
    "callback": CallbackRule,
    "command": CommandRule,
    "expression": ExpressionRule,
    "files": FilesRule,
    "metadata": MetadataRule,
    "release_size": ReleaseSizeRule,
    "way": WayRule,
}
