"""DAX by the AWS CLI, unchanged: what it shows has all that real DAX showed in the CLI's examples."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from .cli_examples import Cli, cli, example, missing
from .conftest import Account
from .test_aws_cli import AWS

pytestmark = pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")
# There is no network here, and an endpoint is where the cloud is.
SPARED = frozenset({"VpcId", "SubnetAvailabilityZone", "ClusterDiscoveryEndpoint"})


def said(tool: Cli, *words: str) -> Any:
    """The JSON of a command that goes well."""
    done = tool.run(*words, "--output", "json")
    assert done.status == 0, done
    return json.loads(done.out or "null")


def role(tool: Cli) -> str:
    """A role that DAX may act as."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "dax.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    words = ("create-role", "--role-name", "cache", "--assume-role-policy-document", document)
    found: str = said(tool, "iam", *words)["Role"]["Arn"]
    return found


def test_a_cluster_lives_by_the_cli(account: Account, tmp_path: Path) -> None:
    with cli(account, tmp_path) as tool:
        lives(tool, account.number)


def lives(tool: Cli, number: str) -> None:
    """A cluster with its groups, from the first to the last."""

    def dax(operation: str, *words: str) -> Any:
        """Run an operation, and compare what it shows with the example."""
        shown = said(tool, "dax", operation, *words)
        assert missing(example(operation, service="dax"), shown, SPARED) == [], operation
        return shown

    def available() -> None:
        end = time.monotonic() + 60
        while True:
            found = said(tool, "dax", "describe-clusters", "--cluster-names", "daxcluster")
            if found["Clusters"][0]["Status"] == "available":
                return
            assert time.monotonic() < end
            time.sleep(0.2)

    named = ("--cluster-name", "daxcluster")
    arn = f"arn:aws:dax:us-east-1:{number}:cache/daxcluster"
    default = dax("describe-default-parameters")
    assert default == example("describe-default-parameters", service="dax")
    dax("create-parameter-group", "--parameter-group-name", "daxparametergroup",
        "--description", "new")  # fmt: skip
    dax("describe-parameters", "--parameter-group-name", "daxparametergroup")
    dax("describe-parameter-groups")
    dax("create-subnet-group", "--subnet-group-name", "daxSubnetGroup", "--subnet-ids",
        "subnet-11111111", "subnet-22222222")  # fmt: skip
    said(tool, "dax", "describe-subnet-groups")
    dax("create-cluster", *named, "--node-type", "dax.r4.large", "--replication-factor", "1",
        "--iam-role-arn", role(tool), "--sse-specification", "Enabled=true",
        "--security-group-ids", "sg-1af6e36e")  # fmt: skip
    available()
    dax("describe-clusters")
    dax("increase-replication-factor", *named, "--new-replication-factor", "3")
    available()
    dax("decrease-replication-factor", *named, "--new-replication-factor", "1")
    available()
    dax("tag-resource", "--resource-name", arn, "--tags", "Key=ClusterUsage,Value=prod")
    dax("list-tags", "--resource-name", arn)
    untagged = dax("untag-resource", "--resource-name", arn, "--tag-keys", "ClusterUsage")
    assert untagged == {"Tags": []}
    dax("delete-cluster", *named)
    dax("describe-events")
    gone = dax("delete-parameter-group", "--parameter-group-name", "daxparametergroup")
    assert gone == example("delete-parameter-group", service="dax")
    gone = dax("delete-subnet-group", "--subnet-group-name", "daxSubnetGroup")
    assert gone == example("delete-subnet-group", service="dax")
