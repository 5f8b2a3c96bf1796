"""Inheritance of management policies: AWS's own examples, pure."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.services.organizations.inheritance import Source, inherit, problem_of
from doppio.services.organizations.validity import problems

ALLOWED = "@@operators_allowed_for_child_policies"


def tag(key: str | None = None, name: str = "costcenter", **value: Any) -> dict[str, Any]:
    """A tag policy for one key; `assign`, `append` and `remove` are of its values."""
    said: dict[str, Any] = {}
    if key is not None:
        said["tag_key"] = {"@@assign": key}
    if value:
        said["tag_value"] = {
            (ALLOWED if operator == "allowed" else f"@@{operator}"): given
            for operator, given in value.items()
        }
    return {"tags": {name: said}}


def effective(*levels: list[dict[str, Any]]) -> dict[str, Any]:
    """What counts after some levels, each with the documents that hang there."""
    return inherit(
        [Source(f"p-{at}{number}", document) for number, document in enumerate(level)]
        for at, level in enumerate(levels)
    ).document


def test_a_child_overwrites_what_it_assigns() -> None:
    found = effective([tag("CostCenter", assign=["100", "200"])], [tag(assign=["Sandbox"])], [])
    assert found == {"tags": {"costcenter": {"tag_key": "CostCenter", "tag_value": ["Sandbox"]}}}


def test_a_child_appends_and_removes_values() -> None:
    root = tag("CostCenter", assign=["100", "200", "300"])
    assert effective([root], [tag(append=["Sandbox", "100"])])["tags"]["costcenter"] == {
        "tag_key": "CostCenter", "tag_value": ["100", "200", "300", "Sandbox"],
    }  # fmt: skip
    assert effective([root], [tag(append="Sandbox")], [tag(remove=["200", "x"])])["tags"][
        "costcenter"
    ]["tag_value"] == ["100", "300", "Sandbox"]


def test_what_is_not_allowed_to_children_does_not_count() -> None:
    root = {"tags": {"costcenter": {
        ALLOWED: ["@@none"],
        "tag_key": {"@@assign": "CostCenter", ALLOWED: ["@@none"]},
        "tag_value": {"@@assign": ["100"]},
    }}}  # fmt: skip
    child = tag("COSTCENTER", append=["200"])
    other = tag("Project", "project")
    assert effective([root], [child, other]) == {"tags": {
        "costcenter": {"tag_key": "CostCenter", "tag_value": ["100"]},
        "project": {"tag_key": "Project"},
    }}  # fmt: skip


def test_children_may_use_the_operators_that_are_named() -> None:
    root = tag("CostCenter", assign=["100"], allowed=["@@append", "@@remove"])
    found = effective([root], [tag(assign=["200"])], [tag(append=["300"])])
    assert found["tags"]["costcenter"]["tag_value"] == ["100", "300"]


def test_a_child_gives_back_nothing_that_was_taken() -> None:
    root = tag("CostCenter", assign=["100"], allowed=["@@append"])
    middle = tag(append=["150"], allowed=["@@all"])
    found = effective([root], [middle], [tag(assign=["200"])])
    assert found["tags"]["costcenter"]["tag_value"] == ["100", "150"]
    narrow = tag(append=["150"], allowed="@@none")
    found = effective([root], [narrow], [tag(append=["200"])])
    assert found["tags"]["costcenter"]["tag_value"] == ["100", "150"]


def test_a_restriction_counts_below_and_not_beside() -> None:
    root = tag("CostCenter", assign=["100"], allowed=["@@none"])
    found = effective([root, tag(append=["200"])], [])
    assert found["tags"]["costcenter"]["tag_value"] == ["100", "200"]
    everything = {
        "tags": {ALLOWED: ["@@none"], "costcenter": {"tag_key": {"@@assign": "CostCenter"}}}
    }
    assert effective([everything], [tag("Project", "project")]) == {
        "tags": {"costcenter": {"tag_key": "CostCenter"}}
    }


def test_of_single_values_on_one_target_the_first_counts_and_lists_are_one() -> None:
    found = effective([tag("CostCenter", assign=["1"]), tag("COSTCENTER", assign=["2", "1"])])
    assert found == {"tags": {"costcenter": {"tag_key": "CostCenter", "tag_value": ["1", "2"]}}}


@pytest.mark.parametrize(
    "document",
    [
        {"tags": {"a": {"tag_key": "A"}}},
        {"tags": {"a": {"tag_key": {"@@set": "A"}}}},
        {"tags": {"a": {"tag_key": {"@@assign": "A", "b": {"@@assign": "B"}}}}},
        {"tags": {"a": {"tag_key": {"@@assign": {"b": "c"}}}}},
        {"tags": {"a": {"tag_key": {"@@assign": None}}}},
        {"tags": {"a": {"tag_value": {"@@append": 1}}}},
        {"tags": {"a": {}}},
        {"tags": {ALLOWED: ["@@some"]}},
        {"tags": {ALLOWED: []}},
    ],
)
def test_a_tree_without_operators_where_they_belong_is_refused(document: Any) -> None:
    assert problem_of(document) is not None


def test_a_tree_as_deep_as_a_well_is_refused() -> None:
    document: dict[str, Any] = {"@@assign": "x"}
    for _ in range(60):
        document = {"a": document}
    assert problem_of(document) is not None


PLAN = {
    "regions": {"@@assign": ["us-east-1"]},
    "rules": {"daily": {"target_backup_vault_name": {"@@assign": "vault"}}},
    "selections": {"tags": {"all": {
        "iam_role_arn": {"@@assign": "arn:aws:iam::$account:role/b"},
        "tag_key": {"@@assign": "backup"}, "tag_value": {"@@assign": ["yes"]},
    }}},
}  # fmt: skip


def test_what_does_not_fit_together_is_found_with_who_made_it_so() -> None:
    whole = inherit([[Source("p-root", {"plans": {"nightly": PLAN}})]])
    assert problems("BACKUP_POLICY", whole) == []
    broken = {"plans": {"nightly": {"regions": {"@@remove": ["us-east-1"]}}}}
    found = inherit([[Source("p-root", {"plans": {"nightly": PLAN}})], [Source("p-child", broken)]])
    problem = problems("BACKUP_POLICY", found)[0]
    assert (problem.code, problem.path) == ("KEY_REQUIRED", ("plans", "nightly", "regions"))
    assert found.behind(problem.path) == ["p-child", "p-root"]
    many = inherit([[
        Source("p-a", {"plans": {f"plan{number}": PLAN for number in range(21)}})
    ]])  # fmt: skip
    assert problems("BACKUP_POLICY", many)[0].code == "ELEMENTS_TOO_MANY"
    odd = inherit([[Source("p-a", {"services": {"default": {
        "opt_out_policy": {"@@assign": "perhaps"}
    }}})]])  # fmt: skip
    assert problems("AISERVICES_OPT_OUT_POLICY", odd)[0].code == "VALUE_NOT_SUPPORTED"
    assert problems("TAG_POLICY", inherit([[Source("p-a", tag(assign=["1"]))]]))[0].path == (
        "tags", "costcenter", "tag_key",
    )  # fmt: skip
