"""One file of the configuration: from what stands in it to its model, and every fault that it shows by itself."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from activities.wording import in_words, keys_of, show
from activities.yaml_lines import Keys, Node
from domain.configuration import (
    CHECK_KEYS,
    PLACE_KEYS,
    RESERVED_NAMES,
    EnvironmentFile,
    Organisation,
    ServiceFile,
    as_written,
    check_kinds,
    split_check,
    split_place,
)
from domain.fault import Fault, Spot
from domain.spelling import suggest
from domain.value import Value


class Kind(Protocol):
    """A kind of target or check, as far as reading its settings goes."""

    @property
    def settings(self) -> type[Value]: ...


Kinds = Mapping[str, Kind]
M = TypeVar("M", bound=BaseModel)


class Draft[M](NamedTuple):
    pass
