import pytest
from structlog.testing import capture_logs

from activities.notifiers import NOTIFIERS
from activities.notifiers.log import LogNotifier
from activities.ports import Alarm, Notifier
from domain.names import Subject

ALARM = Alarm(
    subject=Subject(service="shop", environment="production"),
    headline="shop in production is unsettled",
    remedy="towpath status shop production",
    key="change/shop/production/7",
)


@pytest.fixture(params=sorted(NOTIFIERS))
def notifier(request: pytest.FixtureRequest) -> Notifier:
    """Every registered notifier in turn: registering one is what puts it under these tests."""
    return NOTIFIERS[request.param]()


async def test_same_alarm_may_be_raised_again(notifier: Notifier) -> None:
    """An activity may run again after it succeeded, so its notifier must not mind."""
    await notifier.call(ALARM)
    await notifier.call(ALARM)


async def test_alarm_is_one_event_with_its_keys() -> None:
    """An alert rule finds each alarm once, by its name, and where and what it is about."""
    notifier = LogNotifier()

    with capture_logs() as events:
        await notifier.call(ALARM)
        await notifier.call(ALARM)
        await notifier.call(ALARM._replace(key="change/shop/production/8"))

    assert [event["key"] for event in events] == ["change/shop/production/7", "change/shop/production/8"]
    assert events[0] == {
        "event": "alarm",
        "log_level": "error",
        "service": "shop",
        "environment": "production",
        "headline": "shop in production is unsettled",
        "remedy": "towpath status shop production",
        "key": "change/shop/production/7",
    }
