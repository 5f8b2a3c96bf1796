"""Dashboards of CloudWatch, through the door."""

from __future__ import annotations

import json

import pytest

from doppio.services.cloudwatch.dashboards import looked_over
from doppio.services.cloudwatch.errors import InvalidDashboard
from tests.services.world import World, refusal, told

BODY = json.dumps({"widgets": [{"type": "text", "x": 0, "properties": {"markdown": "hi"}}]})


@told
async def test_a_dashboard_is_kept_as_it_was_given(world: World) -> None:
    for name in ("shop", "other"):
        answer = await world.call(
            "cloudwatch", "put_dashboard", DashboardName=name, DashboardBody=BODY
        )
        assert answer["DashboardValidationMessages"] == []
    found = await world.call(
        "cloudwatch", "get_dashboard", DashboardName="shop", region="eu-west-1"
    )
    assert found["DashboardBody"] == BODY
    listed = await world.call("cloudwatch", "list_dashboards", DashboardNamePrefix="s")
    assert [one["DashboardName"] for one in listed["DashboardEntries"]] == ["shop"]
    both = world.call("cloudwatch", "delete_dashboards", DashboardNames=["shop", "none"])
    assert (await refusal(both))[0] == "DashboardNotFoundError"
    await world.call("cloudwatch", "delete_dashboards", DashboardNames=["shop"])
    gone = world.call("cloudwatch", "get_dashboard", DashboardName="shop")
    assert (await refusal(gone))[0] == "DashboardNotFoundError"
    bad = world.call("cloudwatch", "put_dashboard", DashboardName="a b", DashboardBody=BODY)
    assert (await refusal(bad))[0] == "InvalidParameterValueException"


@pytest.mark.parametrize(
    "body",
    ["{", "[]", "{}", '{"widgets": [1]}', '{"widgets": [{"type": "x", "properties": {}}]}',
     '{"widgets": [{"type": "text"}]}', '{"widgets": [{"type": "text", "x": 24, "properties": {}}]}'],
)  # fmt: skip
def test_what_is_no_dashboard_is_refused(body: str) -> None:
    with pytest.raises(InvalidDashboard):
        looked_over(body)


def test_what_looks_wrong_is_told() -> None:
    body = json.dumps({"widgets": [{"type": "text", "properties": {}, "color": "red"}]})
    assert looked_over(body)[0]["DataPath"] == "/widgets/0/color"
