"""How values travel."""

from workflows.wire import ForgivingPayloadConverter


def test_what_was_learned_of_a_type_is_known_to_the_next_converter() -> None:
    """The SDK makes one for each activation: reading a type anew each time would cost more than reading the value."""
    one, next_one = ForgivingPayloadConverter(), ForgivingPayloadConverter()

    assert [*one.converters.values()] == [*next_one.converters.values()]
