"""Every operation asks for its action on its pipe."""

from __future__ import annotations

from typing import Any

from doppio.services.pipes.service import SERVICE
from doppio.wire import model
from tests.services.kms.helpers import allow, user
from tests.services.pipes.test_pipes import ACTIONS, ROLE, role
from tests.services.scheduler.test_permissions import outcome
from tests.services.sqs.helpers import arn
from tests.services.world import ACCOUNT, REGION, World, refusal, told

PIPE = f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/p"
WHOLE = {"Name": "p", "Source": arn("from"), "Target": arn("to"), "RoleArn": ROLE}
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "CreatePipe": (WHOLE, PIPE),
    "DescribePipe": ({"Name": "p"}, PIPE),
    "UpdatePipe": ({"Name": "p", "RoleArn": ROLE}, PIPE),
    "StopPipe": ({"Name": "p"}, PIPE),
    "StartPipe": ({"Name": "p"}, PIPE),
    "ListPipes": ({}, "*"),
    "TagResource": ({"resourceArn": PIPE, "tags": {"a": "b"}}, PIPE),
    "UntagResource": ({"resourceArn": PIPE, "tagKeys": ["a"]}, PIPE),
    "ListTagsForResource": ({"resourceArn": PIPE}, PIPE),
    "DeletePipe": ({"Name": "p"}, PIPE),
}


def test_the_table_names_every_operation() -> None:
    operations = model.load("pipes").operations
    assert {operations[name].method for name in ASKED} == set(SERVICE.operations)


@told
async def test_an_operation_needs_its_action_on_its_pipe(world: World) -> None:
    await role(world, *ACTIONS)
    nobody = await user(world, "nobody")
    for number, (name, (req, resource)) in enumerate(ASKED.items()):
        method = model.load("pipes").operations[name].method
        code, text = await refusal(world.call("pipes", method, caller=nobody, **req))
        assert code == "AccessDeniedException", name
        where = "" if resource == "*" else f" on resource: {resource}"
        assert f"pipes:{name}{where} because" in text, text
        passes = allow("iam:PassRole", ROLE)
        one = await user(world, f"u{number}", allow(f"pipes:{name}", resource), passes)
        await world.settle()
        assert await outcome(world.call("pipes", method, caller=one, **req)) == "", name


@told
async def test_whoever_gives_a_pipe_its_role_must_be_allowed_to_pass_it(world: World) -> None:
    await role(world, *ACTIONS)
    one = await user(world, "one", allow("pipes:*"))
    code, text = await refusal(world.call("pipes", "create_pipe", caller=one, **WHOLE))
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in text
    tagging = await user(world, "two", allow("pipes:CreatePipe"), allow("iam:PassRole", ROLE))
    call = world.call("pipes", "create_pipe", caller=tagging, **WHOLE, Tags={"a": "b"})
    code, text = await refusal(call)
    assert code == "AccessDeniedException"
    assert "pipes:TagResource" in text
