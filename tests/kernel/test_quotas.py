from __future__ import annotations

from doppio.kernel.quotas import Quota, Raised, quota
from tests.services.world import ACCOUNT, OTHER, REGION, World, told

CUPS = Quota("coffee", "L-1", "Cups an hour", 40)


@told
async def test_a_quota_is_awss_default_until_it_is_raised(world: World) -> None:
    context = world.cloud.root_context()
    assert await quota(context.read(), CUPS) == 40
    async with context.write() as tx:
        tx.put(Raised(account=ACCOUNT, region=REGION, service="coffee", code="L-1", value=90))
    assert await quota(context.read(), CUPS) == 90
    assert await quota(world.cloud.root_context(OTHER).read(), CUPS) == 40
    assert await quota(world.cloud.root_context(region="eu-west-1").read(), CUPS) == 40
