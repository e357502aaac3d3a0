"""Every way to call a person. A new kind is one module here and one line below."""

from collections.abc import Callable, Mapping

from activities.notifiers.log import LogNotifier
from activities.ports import Notifier

NOTIFIERS: Mapping[str, Callable[[], Notifier]] = {
    "log": LogNotifier,
}
