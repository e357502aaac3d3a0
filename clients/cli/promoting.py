"""``plan``, ``promote``, ``cancel``, ``rollback``, ``adopt``."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from clients.cli.asking import ask, me, need_service, signer
from clients.cli.grammar import (
    AsJson,
    By,
    EnvironmentName,
    Key,
    MaybeEnvironment,
    PromotionWords,
    Reason,
    Service,
    Through,
    Version,
    Watch,
    read_promotion,
    read_walk,
)
from clients.cli.reading import find_configuration
from clients.cli.terminal import say, say_commands, say_json
from clients.cli.validating import Github, JunitFile, report
from clients.trouble import NobodyPollsError, UsageError
from domain.names import is_identifier
from domain.outcome import Exit, Outcome, Phase
from domain.urgency import REASON_WANTED, Urgency
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.promotion import Promotion
    from clients.signing import Signer

A_MOMENT: Final = 3.0
BRIEFLY: Final = 0.2
"""Seconds, within which a lane says so where it does not begin what it was asked for."""

Turn = Annotated[
    int | None,
    typer.Option(
        "--turn",
        metavar="TURN",
        min=1,
        help="Undo this change and no other, also where that leaves nothing.",
        show_default=False,
    ),
]

Check = Annotated[bool, typer.Option("--check", help="Show every rule too, as `towpath validate` does.")]

WithoutServer = Annotated[
    bool,
    typer.Option(
        "--without-server",
        help="Do it here and now from the release store, where no server answers; needs the environment's "
        "key on this machine, and --reason.",
    ),
]
EvenSo = Annotated[
    bool, typer.Option("--even-so", help="With --without-server: although the server and the lane answer.")
]


HotfixFlag = Annotated[
    bool,
    typer.Option(
        "--hotfix",
        help="By the environment's shorter way in, its gates kept; needs --reason.",
        show_default=False,
    ),
]
BreakGlassFlag = Annotated[
    bool,
    typer.Option(
        "--break-glass",
        help="In an emergency, without approval, by those who may; rings every alarm, stays open until somebody "
        "else has reviewed it, and needs --reason.",
        show_default=False,
    ),
]


def read_urgency(reason: str, *, hotfix: bool, break_glass: bool, walks: bool) -> Urgency:
    """Return which way in was asked for. Raises ``UsageError`` where that makes no sense."""
    if not (hotfix or break_glass):
        return Urgency.USUAL
    urgency = Urgency.BREAK_GLASS if break_glass else Urgency.HOTFIX
    if hotfix and break_glass:
        raise UsageError("--hotfix keeps the approval, and --break-glass does without: write one of them.")
    if walks:
        raise UsageError(f"--{urgency} is for one environment, and not for a walk: leave --through out.")
    if not reason.strip():
        raise UsageError(f"{REASON_WANTED[0].upper()}{REASON_WANTED[1:]}")
    return urgency


def plan(  # what a command takes is its options
    service: Service,
    version: Version,
    environment: EnvironmentName,
    by: By = "",
    key: Key = "",
    as_json: AsJson = False,
    check: Check = False,
    junit: JunitFile = None,
    github: Github = False,
) -> None:
    """Show what a promotion would do, without asking for it. Ends with 10 where it would be refused."""
    if (junit or github) and not check:
        raise UsageError("--junit and --github go with --check: they report what was found.")
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.showing import show_plan

        await _check_order(towpath, "plan", service, version, environment)
        await need_service(towpath, service, environment)
        proposal = await towpath.plan(service, version, environment, by=actor, signer=signs)
        if check:
            if not as_json:
                show_plan(proposal)
            return report(proposal, as_json=as_json, junit=junit, github=github)
        if as_json:
            say_json(proposal)
        else:
            show_plan(proposal)
        return Exit.REFUSED if proposal.refusals else Exit.DONE

    ask(work, actor)


def promote(
    service: Service,
    version: Version,
    environment: MaybeEnvironment = "",
    through: Through = None,
    by: By = "",
    reason: Reason = "",
    key: Key = "",
    watch: Watch = False,
    hotfix: HotfixFlag = False,
    break_glass: BreakGlassFlag = False,
) -> None:
    """Ask for a release to be let into an environment; or walk it, through all that lie before."""
    urgency = read_urgency(reason, hotfix=hotfix, break_glass=break_glass, walks=bool(through))
    if bool(environment) is bool(through):
        raise UsageError(
            "Write one environment to promote to, or --through ENVIRONMENT to walk there: `towpath promote "
            f"{service} {version} dev`, or `towpath promote {service} {version} --through production`."
        )
    actor, signs = me(by), signer(key)
    if through:
        _walk(service, version, through, actor=actor, reason=reason, watch=watch, signs=signs)

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.following import follow
        from clients.speaking import need_engine

        await _check_order(towpath, "promote", service, version, environment)
        await need_service(towpath, service, environment)
        promotion = await towpath.promote(
            service, version, environment, by=actor, reason=reason, signer=signs, urgency=urgency
        )
        how = " ".join(filter(None, ["is asked for", urgency.in_words]))
        say(f"The promotion of {promotion} {how}, by {actor}.")
        await need_engine(promotion.client)
        if watch:
            return await follow(promotion)
        await _need_environment(promotion)
        if why := await _refused_at_once(promotion):
            say(f"It was refused: {why}", "bold red")
            say_commands([promotion.see])
            return Exit.REFUSED
        say("Follow it:")
        say_commands([f"{promotion.see} --watch"])
        return Exit.DONE

    ask(work, actor)


async def _refused_at_once(promotion: "Promotion") -> str:
    """Return why its environment refused it, where that is known within a moment; nothing where it goes on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(A_MOMENT):
            while (status := await promotion.status()).phase is Phase.PREPARING:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(BRIEFLY)
            return status.why if status.outcome is Outcome.REFUSED else ""
    return ""


def _walk(
    service: str,
    version: str,
    through: list[str],
    *,
    actor: str,
    reason: str,
    watch: bool,
    signs: "Signer | None",
) -> NoReturn:
    known = find_configuration(surroundings()) if signs else None
    passing = known.signed_on_the_way(service, through) if known else ()

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.walking import follow_walk
        from clients.speaking import need_engine

        for one in through:
            await need_service(towpath, service, one)
        walk = await towpath.walk(
            service, version, through, by=actor, reason=reason, signer=signs, passing=passing
        )
        where = " and ".join(through)
        if walk.joined:
            say(f"The walk of {walk} through {where} is under way already.")
        else:
            say(f"The walk of {walk} through {where} is asked for, by {actor}.")
        await need_engine(towpath.client)
        if watch:
            return await follow_walk(walk)
        say("Follow it:")
        say_commands([f"{walk.see} --watch"])
        return Exit.DONE

    ask(work, actor)


async def _check_order(towpath: "Towpath", verb: str, service: str, version: str, environment: str) -> None:
    """Raise ``UsageError`` where a version was written last, and an environment that is served before it."""
    from clients.speaking import is_served

    written = (service, version, environment)
    if _has_digit(version) or not _has_digit(environment) or not all(map(is_identifier, written)):
        return
    if await is_served(towpath.spaces.of(environment), environment):
        return
    for word, others in ((version, (service, environment)), (service, (version, environment))):
        if await is_served(towpath.spaces.of(word), word, looks=1):
            raise UsageError(
                f"Nothing was asked for: no worker serves an environment “{environment}”, and one serves “{word}”. "
                f"The environment stands last: towpath {verb} {' '.join(others)} {word}"
            )


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


async def _need_environment(promotion: "Promotion") -> None:
    """It is asked for and kept, and goes on once there is a worker; perhaps the name is a slip."""
    from clients.speaking import need_environment

    try:
        await need_environment(promotion.client, promotion.subject.environment)
    except NobodyPollsError as nobody:
        environment = promotion.subject.environment
        raise NobodyPollsError(
            f"It waits, since no worker serves {environment}. Start one where its key is "
            f"(towpath worker --environments {environment}), or take it back: {promotion.take_back}",
            environment,
        ) from nobody


def cancel(words: PromotionWords, by: By = "", reason: Reason = "", watch: Watch = False) -> None:
    """Stop a promotion; what it has begun is undone. A walk stops, and what it has under way goes on."""
    if walk := read_walk(words):
        _stop_walk(*walk, actor=me(by), reason=reason, watch=watch)
    service, version, environment = read_promotion(words)
    actor = me(by)

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.following import follow

        promotion = towpath.promotion(service, version, environment)
        await promotion.cancel(by=actor, reason=reason)
        say(f"{promotion} is to be cancelled: what it has begun is undone first.")
        if watch:
            return await follow(promotion)
        say_commands([f"{promotion.see} --watch"])
        return Exit.DONE

    ask(work, actor)


def _stop_walk(service: str, version: str, *, actor: str, reason: str, watch: bool) -> NoReturn:
    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.walking import follow_walk

        walk = towpath.pipeline(service, version)
        await walk.cancel(by=actor, reason=reason)
        say(f"The walk of {walk} goes no further. Promotions that are under way go on.")
        if watch:
            return await follow_walk(walk)
        say_commands([walk.see])
        return Exit.DONE

    ask(work, actor)


def rollback(
    service: Service,
    environment: EnvironmentName,
    by: By = "",
    reason: Reason = "",
    turn: Turn = None,
    key: Key = "",
    watch: Watch = False,
    without_server: WithoutServer = False,
    even_so: EvenSo = False,
) -> None:
    """Undo the newest change of a service in an environment; one under way is cancelled and undone."""
    from activities.clock import SystemClock

    actor, meant = me(by), SystemClock().now()
    if without_server:
        from clients.cli.offline import roll_back_offline

        roll_back_offline(service, environment, by=actor, reason=reason, turn=turn, even_so=even_so)
    if even_so:
        raise UsageError("--even-so goes with --without-server.")

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.advising import remedies, say_next
        from clients.cli.following import follow_wish, say_answer, see_lane
        from clients.overview import look

        await need_service(towpath, service, environment)
        wish = await towpath.rollback(
            service, environment, by=actor, reason=reason, of=turn, signer=signer(key), meant=meant
        )
        say(f"A rollback of {wish.lane.subject} is asked for, by {actor}; it goes to the front.")
        if watch:
            return await follow_wish(wish)
        with suppress(TimeoutError):
            return say_answer(wish, await asyncio.wait_for(wish.result(), A_MOMENT))
        seen = await look(wish.lane.client, wish.lane.id)
        if seen.change and seen.change.phase is Phase.STUCK:
            say(
                f"It waits for turn {seen.change.turn}, which is stuck: {seen.change.waits_for}",
                "bold yellow",
            )
            say_next(remedies(seen))
            return Exit.UNSETTLED
        say_commands([f"{see_lane(wish)} --watch"])
        return Exit.DONE

    ask(work, actor)


def adopt(
    service: Service, environment: EnvironmentName, by: By = "", reason: Reason = "", key: Key = ""
) -> None:
    """Learn again what runs in an environment, and record it; nothing is deployed."""
    actor = me(by)

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.following import follow_wish

        await need_service(towpath, service, environment)
        wish = await towpath.adopt(service, environment, by=actor, reason=reason, signer=signer(key))
        return await follow_wish(wish)

    ask(work, actor)
