from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.wire import model
from tests.services.world import World, told


class Reads:
    """Two operations and what is none."""

    async def list_topics(self, ctx: Context, req: Any) -> None:
        """One."""

    async def get_topic(self, ctx: Context, req: Any) -> None:
        """Another."""

    async def _helper(self) -> None: ...

    def not_async(self) -> None:
        """No operation."""


class More:
    """The same operation once more."""

    async def list_topics(self, ctx: Context, req: Any) -> None:
        """One too many."""


def test_operations_are_the_public_coroutines_of_the_groups() -> None:
    assert set(Service("sns", groups=[Reads()]).operations) == {"list_topics", "get_topic"}


def test_an_operation_is_in_one_group() -> None:
    with pytest.raises(AssertionError, match=r"sns\.list_topics is in two groups"):
        Service("sns", groups=[Reads(), More()])


@told
async def test_an_operation_needs_the_action_of_its_name_where_nothing_else_is_said(
    world: World,
) -> None:
    service = Service("sns", groups=[Reads()])
    context = world.cloud.root_context()
    assert list(service.needs(context, "ListTopics", {})) == [Need("sns:ListTopics", "*")]


@told
async def test_every_operation_here_is_one_of_its_model(world: World) -> None:
    for name, service in world.cloud.services.items():
        assert set(service.operations) <= set(model.load(name).by_method), name
