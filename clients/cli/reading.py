"""Reading this folder: its configuration and its release store."""

from typing import TYPE_CHECKING

from clients.trouble import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from activities.archive import Archive
    from activities.configuration_folder import ConfigurationFolder
    from activities.ports import Store
    from domain.configuration import Configuration
    from domain.review import Review
    from domain.space import Space
    from workers.settings import Surroundings


def read_configuration(place: "Surroundings") -> "Configuration":
    """Raises ``UsageError`` with everything that is wrong in the folder."""
    return _read(_settings(place).current)


def read_about(place: "Surroundings", service: str = "", environment: str = "") -> "Configuration":
    """Return what concerns these, or none: mistakes in the files of others keep nobody from it.

    Where no environment is named, all of them count. Raises ``UsageError`` with everything that is wrong where a file
    that counts is broken, or what all share.
    """
    return _read(lambda: _settings(place).about(service, environment))


def read_shared(place: "Surroundings") -> "Configuration":
    """Return what all share, and whatever has a whole file. Raises ``UsageError`` where that is broken."""
    return _read(lambda: _settings(place).shared())


def _settings(place: "Surroundings") -> "ConfigurationFolder":
    from workers.wiring import settings_of

    return settings_of(place)


def _read(how: "Callable[[], Configuration]") -> "Configuration":
    from activities.mistakes import BrokenConfigurationError

    try:
        return how()
    except BrokenConfigurationError as error:
        raise UsageError(str(error)) from error


def find_configuration(
    place: "Surroundings", service: str = "", environment: str = ""
) -> "Configuration | None":
    """Return what ``read_about`` does; None where that cannot be read."""
    from activities.mistakes import BrokenConfigurationError

    try:
        return _settings(place).about(service, environment)
    except BrokenConfigurationError:
        return None


def spaces_of(place: "Surroundings") -> "Mapping[str, Space]":
    """Return which environments live in a namespace of their own, as far as the folder can be read."""
    # Reading the folder takes longer than most commands do, and most folders say nothing of it.
    if not any(_speaks_of_it(file) for file in (place.folder / "environments").glob("*.yaml")):
        return {}
    from workers.wiring import settings_of

    return settings_of(place).inspect().spaces


def _speaks_of_it(file: "Path") -> bool:
    try:
        return b"temporal" in file.read_bytes()
    except OSError:
        return False


def known_schemas() -> dict[str, dict[str, object]]:
    """Return the JSON Schemas of the configuration's files, by the kinds that are registered."""
    from activities.checks import CHECKS
    from activities.configuration_file import Kinds
    from activities.rules import RULES
    from activities.schemas import schemas
    from activities.targets import TARGETS

    return schemas(
        Kinds(
            targets={name: kind.settings for name, kind in TARGETS.items()},
            checks={name: kind.settings for name, kind in CHECKS.items()},
            rules={name: kind.settings for name, kind in RULES.items()},
        )
    )


def environments_of(place: "Surroundings") -> list[str]:
    """Name the environments of the folder; none where it cannot be read."""
    found = find_configuration(place)
    return sorted(found.environments) if found else []


def open_releases(place: "Surroundings") -> "Store":
    """Raises ``UsageError`` where the store cannot be opened."""
    from activities.ports import StoreError
    from activities.stores import open_store

    try:
        return open_store(read_shared(place).organisation.store, place.folder)
    except StoreError as error:
        raise UsageError(str(error)) from error


def open_archive(place: "Surroundings") -> "tuple[Store, Archive]":
    """Open the store and what is sealed in it, to be read. Raises ``UsageError``."""
    from activities.archive import Archive
    from activities.keyring import Keyring
    from workers.wiring import settings_of

    store = open_releases(place)
    return store, Archive(store, Keyring(place.keys, settings_of(place)))


def maybe_archive(place: "Surroundings") -> "tuple[Store, Archive] | None":
    """Return what is sealed, or None where this folder has no configuration to find the store by."""
    return open_archive(place) if (place.folder / "towpath.yaml").exists() else None


def read_reviews(place: "Surroundings") -> "list[Review]":
    """Return every broken glass that the store knows of, with its review. Raises ``UsageError``."""
    import asyncio

    return asyncio.run(find_reviews(place))


async def find_reviews(place: "Surroundings", environment: str = "") -> "list[Review]":
    """Return what ``read_reviews`` does, of one environment or of all; none where no store is configured."""
    from activities.ports import SealError, StoreError
    from activities.reviews import Reviews

    archive = maybe_archive(place)
    if archive is None:
        return []
    try:
        found = await Reviews(*archive).everywhere()
    except SealError as error:
        raise UsageError(f"A review in the store is not to be believed: {error}.") from error
    except StoreError as error:
        raise UsageError(str(error)) from error
    return [one for one in found if environment in {"", one.broken.subject.environment}]
