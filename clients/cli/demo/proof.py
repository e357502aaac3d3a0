"""What the sites really serve: fetched, and held against what was to come true."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx
from pydantic import ValidationError

from clients.cli.demo.processes import DemoError
from domain.marker import MARKER_PATH, Marker
from domain.release import Release
from domain.value import short


class Served(NamedTuple):
    """What one site answered: its page, and what the placement says about itself."""

    address: str
    page: str
    marker: Marker

    def __str__(self) -> str:
        return f"{self.marker.version} ({short(self.marker.release)})"


async def fetch(sites: Mapping[str, str]) -> dict[str, Served]:
    """Ask every site. Raises ``DemoError`` where one does not answer as a placement does."""
    async with httpx.AsyncClient(trust_env=False) as asking:
        return {
            environment: await _ask(asking, environment, address) for environment, address in sites.items()
        }


async def _ask(asking: httpx.AsyncClient, environment: str, address: str) -> Served:
    try:
        page = (await asking.get(address)).raise_for_status().text
        marker = (await asking.get(f"{address}{MARKER_PATH}")).raise_for_status().content
        return Served(address, page, Marker.model_validate_json(marker))
    except (httpx.HTTPError, ValidationError) as error:
        raise DemoError(f"{environment} does not answer as it should: {error}") from error


def check(served: Mapping[str, Served], expected: Mapping[str, Release]) -> None:
    """Raise ``DemoError`` where a site serves anything else than expected, or its page and marker disagree."""
    for environment, release in expected.items():
        found = served[environment]
        if (found.marker.release, found.marker.environment) != (release.digest(), environment):
            wanted = f"{release.version} ({short(release.digest())})"
            raise DemoError(f"{environment} was to serve {wanted}, and its marker names {found}.")
        if f"{release.service} {release.version}" not in found.page:
            raise DemoError(f"{environment} names {found} in its marker, and serves another page.")
