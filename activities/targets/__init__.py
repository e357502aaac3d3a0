"""Everything that can take a component. A new kind is one module here, one line below, one page of docs."""

from collections.abc import Mapping

from activities.ports import ConfiguredTarget
from activities.targets.command import CommandTarget
from activities.targets.directory import DirectoryTarget
from activities.targets.git import GitTarget
from activities.targets.supervisor import SupervisorTarget
from activities.targets.terraform import TerraformTarget

TARGETS: Mapping[str, type[ConfiguredTarget]] = {
    "command": CommandTarget,
    "directory": DirectoryTarget,
    "git": GitTarget,
    "supervisor": SupervisorTarget,
    "terraform": TerraformTarget,
}
