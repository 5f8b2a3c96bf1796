"""Tokens of STS's global endpoint: version 1 counts in the Regions alone that every account has."""

from __future__ import annotations

import re

from doppio.gateway.authenticate import GLOBAL_STS

from .signed import Front, fronted

QUEUES = "AmazonSQS.ListQueues"


async def session(front: Front, host: str | None) -> tuple[str, str, str]:
    """The credentials of a session that was asked for at a host."""
    user = ("000000000000", "test")
    headers = {"host": host} if host else {}
    body = b"Action=GetSessionToken&Version=2011-06-15"
    headers["content-type"] = "application/x-www-form-urlencoded"
    answer = await front.ask(front.signed("sts", body=body, headers=headers, keys=user))
    assert isinstance(answer.body, bytes)
    text = answer.body.decode()
    assert answer.status == 200, text
    parts = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    found = [re.search(f"<{part}>(.*)</{part}>", text) for part in parts]
    key, secret, token = (one[1] for one in found if one is not None)
    return key, secret, token


async def counts(front: Front, keys: tuple[str, str, str], region: str) -> bool:
    """Whether a session's credentials count in a Region."""
    status, _, content = await front.json("sqs", QUEUES, {}, keys=keys, region=region)
    if status != 200:
        assert content["message"] == "The security token included in the request is invalid."
    return status == 200


async def prefer(front: Front, version: str) -> None:
    """Say which tokens the global endpoint shall give."""
    status, _ = await front.query(
        "iam",
        "Action=SetSecurityTokenServicePreferences&Version=2010-05-08"
        f"&GlobalEndpointTokenVersion={version}",
    )
    assert status == 200


async def version(front: Front) -> str:
    """Which tokens the global endpoint gives, as the account's summary says."""
    _, text = await front.query("iam", "Action=GetAccountSummary&Version=2010-05-08")
    found = re.search(r"GlobalEndpointTokenVersion</key>\s*<value>(\d)", text)
    assert found is not None
    return found[1]


@fronted
async def test_a_token_of_version_1_does_not_count_in_regions_that_are_to_be_enabled(
    front: Front,
) -> None:
    assert await version(front) == "1"
    old = await session(front, GLOBAL_STS)
    assert await counts(front, old, "eu-west-1")
    assert not await counts(front, old, "ap-east-1")
    regional = await session(front, "sts.us-east-1.amazonaws.com")
    assert await counts(front, regional, "ap-east-1")
    # An endpoint of one's own, as most ask this cloud, is no global one.
    own = await session(front, None)
    assert await counts(front, own, "ap-east-1")


@fronted
async def test_a_token_of_version_2_counts_everywhere_and_old_ones_stay_as_they_are(
    front: Front,
) -> None:
    old = await session(front, GLOBAL_STS)
    await prefer(front, "v2Token")
    assert await version(front) == "2"
    new = await session(front, GLOBAL_STS)
    assert await counts(front, new, "ap-east-1")
    assert not await counts(front, old, "ap-east-1")
    await prefer(front, "v1Token")
    assert not await counts(front, await session(front, GLOBAL_STS), "ap-east-1")
