from datetime import timedelta

from activities.clock import SystemClock


def test_time_has_its_zone() -> None:
    """Times are compared across machines, so none is without its zone."""
    assert SystemClock().now().utcoffset() == timedelta(0)
