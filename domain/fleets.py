"""Whether the waves of a component's many targets name each of them once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from domain.berth import at_of, berth_of
from domain.configuration_files import ServiceEnvironment
from domain.fault import Fault, Spot
from domain.spelling import suggest
from domain.terms import CheckTerms


def fleet_faults(spot: Spot, component: str, place: ServiceEnvironment) -> Iterator[Fault]:
    """Find targets that waves forget, name twice, or name without there being any."""
    targets = [at_of(berth) or "" for berth in place.berths(component)]
    if not targets:
        yield Fault(spot.below("targets"), "no target is named here", "write targets: {eu-1: {target: …}}")
        return
    waves = place.fleets[component].waves
    for index, wave in enumerate(waves):
        yield from _wave_faults(spot.below("waves", index), component, wave, targets)
    if waves:
        yield from _number_faults(spot.below("waves"), targets, waves)


def _wave_faults(spot: Spot, component: str, wave: Sequence[str], targets: Sequence[str]) -> Iterator[Fault]:
    if not wave:
        yield Fault(spot, "this wave is empty", "name targets, or leave it out")
    for at in wave:
        if at not in targets:
            yield Fault(spot, f"{component} has no target “{at}” here", suggest(at, targets))


def _number_faults(spot: Spot, targets: Sequence[str], waves: Sequence[Sequence[str]]) -> Iterator[Fault]:
    named = Counter(at for wave in waves for at in wave)
    for at in targets:
        if named[at] > 1:
            yield Fault(spot, f"{at} is named {named[at]} times", "name it in one wave, once")
        elif not named[at]:
            yield Fault(spot, f"{at} is in no wave, so nothing would reach it", f"add [{at}] as a wave")


def check_target_faults(spot: Spot, place: ServiceEnvironment, check: CheckTerms) -> Iterator[Fault]:
    """Find a health check that looks at a target which is not there."""
    if check.target is None:
        return
    if check.component is None:
        yield Fault(
            spot.below("target"),
            f"{check.target} of which component is not said",
            "write component: beside target:",
        )
    elif berth_of(check.component, check.target) not in place.targets:
        targets = [at for berth in place.berths(check.component) if (at := at_of(berth))]
        yield Fault(
            spot.below("target"),
            f"{check.component} has no target “{check.target}” here",
            suggest(check.target, targets),
        )
