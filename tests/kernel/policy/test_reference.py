"""AWS's actions, as data."""

from __future__ import annotations

import pytest

from doppio.kernel.policy.reference import known_action, prefixes, template_for


def test_an_action_is_known_however_it_is_written() -> None:
    found = known_action("IAM:passrole")
    assert found is not None
    assert found == known_action("iam:PassRole")
    assert found.access_level == "Permissions management"
    assert found.types == ("role",)
    assert "iam:PassedToService" in found.keys


@pytest.mark.parametrize("name", ["s3:BrewCoffee", "espresso:Make", "s3", ""])
def test_what_aws_has_not_is_not_known(name: str) -> None:
    assert known_action(name) is None


@pytest.mark.parametrize(
    ("action", "arn", "template"),
    [
        ("s3:GetObject", "arn:aws:s3:::beans/*", "arn:${Partition}:s3:::${BucketName}/${ObjectName}"),
        ("s3:ListBucket", "arn:aws:s3:::beans", "arn:${Partition}:s3:::${BucketName}"),
        ("sqs:SendMessage", "*", "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}"),
        ("sqs:ListQueues", "arn:aws:sqs:us-east-1:000000000000:line", "*"),
        ("espresso:Make", "arn:aws:s3:::beans", "*"),
    ],
)  # fmt: skip
def test_the_type_of_a_resource_has_a_template(action: str, arn: str, template: str) -> None:
    assert template_for(action, arn) == template


def test_every_type_that_an_action_names_has_an_arn() -> None:
    for service in prefixes().values():
        for action in service.actions.values():
            assert set(action.types) <= service.types.keys()
