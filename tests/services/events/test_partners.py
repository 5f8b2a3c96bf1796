"""Partner event sources: what a partner tells reaches the customer's bus, while it listens."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.jobs import Job
from doppio.services.events.records import EventSource, PartnerSource
from tests.services.events.helpers import bodies, put, queue, rule
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told

NAME = "aws.partner/tea.example/crm/orders"
ARN = f"arn:aws:events:{REGION}::event-source/{NAME}"
PARTNER = OTHER


async def partner(world: World, method: str, **req: Any) -> Any:
    return await world.call("events", method, account=PARTNER, **req)


async def offered(world: World, name: str = NAME) -> None:
    await partner(world, "create_partner_event_source", Name=name, Account=ACCOUNT)


async def listening(world: World) -> str:
    """A partner's source with a bus, and a rule that writes what it tells into a queue."""
    await offered(world)
    await world.call("events", "create_event_bus", Name=NAME, EventSourceName=NAME)
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn}, EventBusName=NAME)
    return arn


async def tell(world: World, **entry: Any) -> dict[str, Any]:
    whole = {"Source": NAME, "DetailType": "ordered", "Detail": '{"tea": 2}', **entry}
    answer = await partner(world, "put_partner_events", Entries=[whole])
    await world.settle()
    found: dict[str, Any] = answer["Entries"][0]
    return found


async def state(world: World) -> str:
    found: str = (await world.call("events", "describe_event_source", Name=NAME))["State"]
    return found


@told
async def test_what_a_partner_tells_reaches_the_rules_of_its_bus(world: World) -> None:
    arn = await listening(world)
    said = await tell(world, Resources=["order/1"])
    assert [json.loads(one) for one in await bodies(world, arn)] == [
        {
            "version": "0",
            "id": said["EventId"],
            "detail-type": "ordered",
            "source": NAME,
            "account": ACCOUNT,
            "time": "2030-01-01T00:00:00Z",
            "region": REGION,
            "resources": ["order/1"],
            "detail": {"tea": 2},
        }
    ]
    assert await world.used("Event-64K-Chunks") == 1
    assert await world.used("Event-64K-Chunks", PARTNER) == 0


@told
async def test_both_sides_see_a_source_and_what_became_of_it(world: World) -> None:
    await offered(world)
    listed = await world.call("events", "list_event_sources")
    (source,) = listed["EventSources"]
    assert source == await world.call("events", "describe_event_source", Name=NAME)
    assert source.pop("ExpirationTime").isoformat() == "2030-01-15T00:00:00+00:00"
    assert source == {
        "Arn": ARN,
        "CreatedBy": "aws.partner/tea.example",
        "CreationTime": world.now,
        "Name": NAME,
        "State": "PENDING",
    }
    await world.call("events", "create_event_bus", Name=NAME, EventSourceName=NAME)
    assert await partner(world, "describe_partner_event_source", Name=NAME) == {
        "Arn": ARN,
        "Name": NAME,
    }
    accounts = await partner(world, "list_partner_event_source_accounts", EventSourceName=NAME)
    assert accounts["PartnerEventSourceAccounts"] == [
        {"Account": ACCOUNT, "CreationTime": world.now, "State": "ACTIVE"}
    ]
    assert await refusal(world.call("events", "describe_partner_event_source", Name=NAME)) == (
        "ResourceNotFoundException",
        f"PartnerEventSource {NAME} does not exist.",
    )
    assert await refusal(partner(world, "describe_event_source", Name=NAME)) == (
        "ResourceNotFoundException",
        f"Event source {NAME} does not exist.",
    )


@told
async def test_sources_are_listed_in_pages(world: World) -> None:
    names = [f"aws.partner/tea.example/crm/{number}" for number in range(5)]
    for name in names:
        await offered(world, name)
    await offered(world, "aws.partner/tea.example/other/1")
    seen: list[str] = []
    more: dict[str, Any] = {}
    prefix = "aws.partner/tea.example/crm/"
    while True:
        answer = await partner(
            world, "list_partner_event_sources", NamePrefix=prefix, Limit=2, **more
        )
        seen += [one["Name"] for one in answer["PartnerEventSources"]]
        if "NextToken" not in answer:
            break
        more = {"NextToken": answer["NextToken"]}
    assert seen == names
    # A token counts for its own list alone.
    assert await refusal(world.call("events", "list_event_sources", **more)) == (
        "ValidationException",
        "Token value is not valid.",
    )
    mine = await world.call("events", "list_event_sources", NamePrefix="aws.partner/tea", Limit=6)
    assert len(mine["EventSources"]) == 6
    none = await world.call("events", "list_partner_event_sources", NamePrefix=prefix)
    assert none["PartnerEventSources"] == []


@told
async def test_a_source_that_is_not_listened_to_hears_nothing_and_ends_after_two_weeks(
    world: World,
) -> None:
    arn = await listening(world)
    await world.advance(days=30)
    assert await state(world) == "ACTIVE"
    await world.call("events", "deactivate_event_source", Name=NAME)
    assert await state(world) == "PENDING"
    assert "EventId" in await tell(world)
    assert await bodies(world, arn) == []
    code, _ = await refusal(world.call("events", "deactivate_event_source", Name=NAME))
    assert code == "InvalidStateException"
    await world.advance(days=13)
    await world.call("events", "activate_event_source", Name=NAME)
    await world.advance(days=2)
    await tell(world)
    assert len(await bodies(world, arn)) == 1
    await world.call("events", "deactivate_event_source", Name=NAME)
    await world.advance(days=15)
    assert await state(world) == "DELETED"
    assert (await tell(world))["ErrorCode"] == "NotAuthorizedForSource"
    code, _ = await refusal(world.call("events", "activate_event_source", Name=NAME))
    assert code == "InvalidStateException"


@told
async def test_an_offer_that_nobody_takes_is_gone_after_two_weeks(world: World) -> None:
    await offered(world)
    code, text = await refusal(world.call("events", "activate_event_source", Name=NAME))
    assert (code, text) == (
        "InvalidStateException",
        f"Event source {NAME} has no matching event bus.",
    )
    await world.advance(days=13, hours=23)
    assert await state(world) == "PENDING"
    await world.advance(hours=2)
    reader = world.cloud.root_context().read()
    assert await reader.list(EventSource, limit=9) == []
    assert await reader.list(PartnerSource, limit=9) == []
    code, _ = await refusal(
        world.call("events", "create_event_bus", Name=NAME, EventSourceName=NAME)
    )
    assert code == "ResourceNotFoundException"


@told
async def test_a_bus_that_outlives_its_source_hears_nothing_until_it_goes(world: World) -> None:
    arn = await listening(world)
    await partner(world, "delete_partner_event_source", Name=NAME, Account=ACCOUNT)
    await partner(world, "delete_partner_event_source", Name=NAME, Account=ACCOUNT)
    assert await state(world) == "DELETED"
    assert (await tell(world))["ErrorCode"] == "NotAuthorizedForSource"
    assert await bodies(world, arn) == []
    # A new source of the name is for the bus that is there, once the customer says so.
    await offered(world)
    assert await state(world) == "PENDING"
    await world.call("events", "activate_event_source", Name=NAME)
    await tell(world)
    assert len(await bodies(world, arn)) == 1
    await partner(world, "delete_partner_event_source", Name=NAME, Account=ACCOUNT)
    await world.call("events", "remove_targets", Rule="r", EventBusName=NAME, Ids=["0"])
    await world.call("events", "delete_rule", Name="r", EventBusName=NAME)
    await world.call("events", "delete_event_bus", Name=NAME)
    assert (await world.call("events", "list_event_sources"))["EventSources"] == []
    assert await world.cloud.root_context().read().list(Job, ("events.expire",), limit=9) == []


@told
async def test_a_source_whose_bus_goes_waits_for_another(world: World) -> None:
    await offered(world)
    await world.call("events", "create_event_bus", Name=NAME, EventSourceName=NAME)
    await world.advance(days=3)
    await world.call("events", "delete_event_bus", Name=NAME)
    source = await world.call("events", "describe_event_source", Name=NAME)
    assert (source["State"], source["ExpirationTime"].day) == ("PENDING", 18)
    await world.call("events", "create_event_bus", Name=NAME, EventSourceName=NAME)
    assert await state(world) == "ACTIVE"


@told
async def test_names_of_partners_are_theirs_alone(world: World) -> None:
    await offered(world)
    assert await refusal(
        partner(world, "create_partner_event_source", Name=NAME, Account=ACCOUNT)
    ) == ("ResourceAlreadyExistsException", f"PartnerEventSource {NAME} already exists.")
    again = {"Name": f"{NAME}2", "Account": ACCOUNT}
    code, _ = await refusal(world.call("events", "create_partner_event_source", **again))
    assert code == "AccessDeniedException"
    for bad in ("tea/x/y", "aws.partner/tea", "aws.partner/tea//x", "aws.partner/tea/x y"):
        wrong = partner(world, "create_partner_event_source", Name=bad, Account=ACCOUNT)
        assert await refusal(wrong) == (
            "ValidationException",
            (
                f"1 validation error detected: Value '{bad}' at 'name' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: "
                r"aws\.partner(/[\.\-_A-Za-z0-9]+){2,}"
            ),
        )
    assert await refusal(
        world.call("events", "create_event_bus", Name="mine", EventSourceName=NAME)
    ) == ("ValidationException", "Event bus name must match the name of the event source.")
    code, _ = await refusal(world.call("events", "create_event_bus", Name=NAME))
    assert code == "ValidationException"
    assert (await tell(world, Source=f"{NAME}2"))["ErrorCode"] == "NotAuthorizedForSource"
    assert (await tell(world, Detail="no"))["ErrorCode"] == "MalformedDetail"


@told
async def test_nobody_but_the_partner_puts_events_on_its_bus(world: World) -> None:
    arn = await listening(world)
    code, text = await refusal(put(world, EventBusName=NAME))
    assert code == "ValidationException"
    assert "'entries.1.member.eventBusName' failed to satisfy constraint" in text
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{NAME}"
    code, _ = await refusal(rule(world, "to-it", {"Arn": bus}))
    assert code == "ValidationException"
    assert await bodies(world, arn) == []


@told
async def test_who_may_do_nothing_with_sources_changes_nothing(world: World) -> None:
    await listening(world)
    await world.call("iam", "create_user", UserName="u")
    key = await world.call("iam", "create_access_key", UserName="u")
    caller = await world.who(key["AccessKey"])
    entry = {"Source": NAME, "DetailType": "a", "Detail": "{}"}
    for method, req in (
        ("create_partner_event_source", {"Name": f"{NAME}3", "Account": ACCOUNT}),
        ("delete_partner_event_source", {"Name": NAME, "Account": ACCOUNT}),
        ("describe_partner_event_source", {"Name": NAME}),
        ("list_partner_event_sources", {"NamePrefix": "aws.partner/tea.example/"}),
        ("list_partner_event_source_accounts", {"EventSourceName": NAME}),
        ("put_partner_events", {"Entries": [entry]}),
        ("describe_event_source", {"Name": NAME}),
        ("list_event_sources", {}),
        ("activate_event_source", {"Name": NAME}),
        ("deactivate_event_source", {"Name": NAME}),
    ):
        code, text = await refusal(world.call("events", method, caller=caller, **req))
        assert code == "AccessDeniedException", method
        action = "".join(part.capitalize() for part in method.split("_"))
        assert f"events:{action}" in text
        if "Name" in req:
            assert f":event-source/{req['Name']}" in text
    assert await state(world) == "ACTIVE"
