"""The search attributes that a workflow is started with."""

from collections.abc import Mapping

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes


def search_attributes(values: Mapping[str, str]) -> TypedSearchAttributes:
    """Return search attributes of ours, by name; empty ones are left out."""
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
        for name, value in values.items()
        if value
    ]
    return TypedSearchAttributes(pairs)
