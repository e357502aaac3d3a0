"""Which client a workflow is found by, and what is said of a namespace that keeps us out."""

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.spaces import Spaces, environment_in, say_shut
from clients.spaces import sibling


async def _client(namespace: str) -> Client:
    return await Client.connect("127.0.0.1:1", namespace=namespace, lazy=True)


@pytest.mark.parametrize(
    ("workflow_id", "environment"),
    [
        ("promotion/shop/production/1.4.0", "production"),
        ("plan/shop/production/1.4.0", "production"),
        ("way/shop/production/1.4.0", "production"),
        ("change/shop/production/1750000000000", "production"),
        ("review/shop/production/1750000000000", "production"),
        ("lane/shop/production", "production"),
        ("environment/production", "production"),
        ("pipeline/shop/production", ""),
        ("notice/0123", ""),
        ("lane/shop", ""),
        ("promotion", ""),
        ("", ""),
    ],
)
def test_an_id_says_which_environment_it_is_about(workflow_id: str, environment: str) -> None:
    """What is about no environment lives at home."""
    assert environment_in(workflow_id) == environment


async def test_each_environment_is_found_where_it_lives() -> None:
    """One namespace for two environments is one client; what says nothing is at home."""
    home = await _client("towpath")
    vault = sibling(home, "vault")
    spaces = Spaces(home, {"production": vault, "disaster": vault})

    assert spaces.having("lane/shop/production") is spaces.of("disaster") is vault
    assert spaces.having("lane/shop/dev") is spaces.having("pipeline/shop/1.0.0") is home
    assert list(spaces.everywhere()) == [home, vault]
    assert spaces.living_in(home, ["dev", "production"]) == ["dev"]


async def test_one_that_is_not_reached_keeps_nobody_from_the_others() -> None:
    """Why is said to whoever asks for it, and to nobody else."""
    home = await _client("towpath")
    spaces = Spaces(home, {"production": LookupError("no profile “vault” here")})

    assert spaces.of("dev") is home
    assert list(spaces.everywhere()) == [home]
    with pytest.raises(LookupError, match="no profile “vault” here"):
        spaces.of("production")


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (
            RPCStatusCode.NOT_FOUND,
            "Namespace vault is not found.",
            "temporal operator namespace create -n vault",
        ),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", "does not let this engine in"),
        (RPCStatusCode.UNAUTHENTICATED, "no token", "does not let this engine in"),
        (RPCStatusCode.NOT_FOUND, "workflow not found", ""),
        (RPCStatusCode.UNAVAILABLE, "try again", ""),
    ],
)
async def test_what_keeps_us_out_is_said_and_what_passes_is_tried_again(
    status: RPCStatusCode, said: str, expected: str
) -> None:
    """A walk is refused exactly where trying again would change nothing."""
    why = say_shut(await _client("vault"), "production", RPCError(said, status, b""))

    assert expected in why
    assert bool(why) is bool(expected)
