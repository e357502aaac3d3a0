"""Notices on their way to real servers, and what is said where they do not arrive."""

import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from activities.notifiers.courier import AppriseCourier
from activities.notifiers.log import LogNotifier
from activities.notifiers.routed import RoutedNotifier
from activities.ports import Alarm, ChannelError
from domain.configuration import Configuration
from domain.configuration_files import Organisation
from domain.names import Subject
from domain.notice import Event, Notice, Route, Severity, key_of
from tests.channels import Hook, MailBox, closed_port
from tests.fakes import Bell, FixedSettings
from tests.logged import logged_to

SECRET = "hunter2-and-more"
NOTICE = Notice(
    key=key_of("one"),
    event=Event.ROLLED_BACK,
    service="shop",
    environment="production",
    title="2.0.0 of shop in production: rolled back",
    text="it was sick\n\ntowpath status shop 2.0.0 production",
)
ALARM = Alarm(Subject(service="shop", environment="production"), "shop is unsettled", "towpath retry", "k/1")


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook().open() as opened:
        yield opened


def courier(folder: Path, channels: dict[str, str], **variables: str) -> AppriseCourier:
    organisation = Organisation.model_construct(channels=channels)
    settings = FixedSettings(Configuration.model_construct(organisation=organisation))
    return AppriseCourier(settings, folder, variables)


async def test_a_webhook_is_told_in_json(hook: Hook, tmp_path: Path) -> None:
    """Title, text with the command, how much it matters, and the key that tells a doubled one."""
    await courier(tmp_path, {"hook": hook.url}).carry("hook", NOTICE)

    (body,) = hook.bodies
    assert body["title"] == NOTICE.title
    assert body["type"] == "warning"
    assert "towpath status shop 2.0.0 production" in body["message"]
    assert body["message"].endswith(f"Notice {NOTICE.key[7:15]}, warning: rolled back")


async def test_a_mail_arrives(tmp_path: Path) -> None:
    """By SMTP, with the title as its subject."""
    with MailBox().open() as box:
        address = f"mailto://127.0.0.1:{box.port}?from=towpath@example.com&to=bo@example.com"
        await courier(tmp_path, {"mail": address}).carry("mail", NOTICE)

    ((subject, text, to),) = box.mails
    assert subject == NOTICE.title
    assert "towpath status shop 2.0.0 production" in text
    assert to == ["bo@example.com"]


async def test_an_address_is_taken_from_a_variable_or_a_file(hook: Hook, tmp_path: Path) -> None:
    """As it is when it is needed; a file counts from the configuration folder."""
    (tmp_path / "chat").write_text(f"{hook.url}/{SECRET}\n")
    made = courier(tmp_path, {"one": "env:HOOK", "two": "file:chat"}, HOOK=hook.url)

    await made.carry("one", NOTICE)
    await made.carry("two", NOTICE)

    assert hook.paths == ["/hook", f"/hook/{SECRET}"]


@pytest.mark.parametrize(
    "address",
    [
        f"json://bo:{SECRET}@127.0.0.1:{{port}}/{SECRET}?+X-Token={SECRET}",
        f"mailto://bo:{SECRET}@127.0.0.1:{{port}}?from=a@example.com&to=b@example.com",
        f"gibberish://{SECRET}/{SECRET}",
        f"slack://{SECRET}",
        f"gotify://{SECRET}.invalid/{SECRET}",
    ],
)
async def test_no_secret_is_repeated(address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the error nor any log says what was in the address, whatever went wrong with it."""
    (tmp_path / "chat").write_text(address.format(port=closed_port()))
    written = io.StringIO()

    with logged_to(written), pytest.raises(ChannelError) as failed:
        await courier(tmp_path, {"chat": "file:chat"}).carry("chat", NOTICE)

    assert "chat" in str(failed.value)
    for said in (str(failed.value), written.getvalue(), *capfd.readouterr(), repr(failed.value.__cause__)):
        assert "hunter2" not in said


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("env:NOWHERE", "the variable NOWHERE is not set"),
        ("file:nowhere", "the file nowhere cannot be read (No such file or directory)"),
        ("env:EMPTY", "env:EMPTY is empty"),
    ],
)
async def test_what_leads_nowhere_is_said(written: str, why: str, tmp_path: Path) -> None:
    """A reference that cannot be followed says which, and what to do."""
    with pytest.raises(ChannelError) as failed:
        await courier(tmp_path, {"chat": written}, EMPTY=" ").carry("chat", NOTICE)

    assert why in str(failed.value)


async def test_a_channel_that_is_gone_is_said(tmp_path: Path) -> None:
    """A notice that was on its way when its channel was removed."""
    with pytest.raises(ChannelError, match="There is no channel “chat”"):
        await courier(tmp_path, {}).carry("chat", NOTICE)


def routed(folder: Path, channels: dict[str, str], *to: str) -> RoutedNotifier:
    route = (Route(to=to, severity=Severity.ALARM),) if to else ()
    organisation = Organisation.model_construct(channels=channels, notify=route)
    settings = FixedSettings(Configuration.model_construct(organisation=organisation))
    return RoutedNotifier([LogNotifier()], AppriseCourier(settings, folder, {}), settings)


async def test_an_alarm_goes_out_by_every_channel_that_works(hook: Hook, tmp_path: Path) -> None:
    """
    One that is down, and one that hangs, keep it from nobody, and all is over before the activity's ten seconds.

    The log has it in any case, and says which channels failed.
    """
    hanging, began = Hook(), time.monotonic()
    hanging.hangs = True
    async with hanging.open():
        channels = {"down": f"json://127.0.0.1:{closed_port()}", "hangs": hanging.url, "hook": hook.url}
        notifier = routed(tmp_path, channels, "down", "hangs", "hook")
        with capture_logs() as events:
            await notifier.call(ALARM)

    assert time.monotonic() - began < 10
    assert hook.titles == ["shop is unsettled"]
    assert hook.bodies[0]["type"] == "failure"
    assert "towpath retry" in hook.bodies[0]["message"]
    failed = {event["channel"] for event in events if event["event"] == "channel_failed"}
    assert failed == {"down", "hangs"}
    assert [event["headline"] for event in events if event["event"] == "alarm"] == ["shop is unsettled"]


async def test_an_alarm_that_no_channel_took_is_not_done(tmp_path: Path) -> None:
    """It is raised again and again, until one takes it."""
    notifier = routed(tmp_path, {"down": f"json://127.0.0.1:{closed_port()}"}, "down")

    with pytest.raises(ChannelError, match="No channel took the alarm"):
        await notifier.call(ALARM)


async def test_an_alarm_that_nobody_is_routed_to_is_in_the_log(tmp_path: Path) -> None:
    """Without any channel, the log is who is told."""
    with capture_logs() as events:
        await routed(tmp_path, {}).call(ALARM)

    assert [event["headline"] for event in events] == ["shop is unsettled"]


async def test_every_registered_notifier_is_called(tmp_path: Path) -> None:
    """One that fails keeps an alarm from no other, nor from the channels; it is not done before all have it."""

    class Deaf:
        async def call(self, alarm: Alarm) -> None:
            raise OSError(alarm.headline)

    bell = Bell()
    settings = FixedSettings(Configuration())
    notifier = RoutedNotifier([Deaf(), bell], AppriseCourier(settings, tmp_path, {}), settings)

    with pytest.raises(OSError, match="shop is unsettled"):
        await notifier.call(ALARM)

    assert bell.alarms == [ALARM]
