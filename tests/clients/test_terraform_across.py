"""Terraform in two accounts at once, the other one by a role that trusts it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .conftest import Account
from .terraform_across import ACROSS
from .test_boto3_across import EXTERNAL, allow, policy, refusal, session, there, trusting
from .test_terraform import MIRROR, SETTINGS, TERRAFORM, pytestmark

__all__ = ["pytestmark", "there"]


@pytest.mark.slow
def test_a_stack_in_two_accounts_lets_a_user_of_one_work_in_the_other(
    account: Account, there: Account, tmp_path: Path
) -> None:
    iam = there.client("iam")
    only_with = {"StringEquals": {"sts:ExternalId": EXTERNAL}}
    iam.create_role(
        RoleName="building", Path="/team/",
        AssumeRolePolicyDocument=trusting(account.number, **only_with),
    )  # fmt: skip
    services = ["s3:*", "sqs:*", "kms:*", "iam:*"]
    iam.put_role_policy(RoleName="building", PolicyName="p", PolicyDocument=policy(allow(services)))
    (tmp_path / "settings.tf").write_text(SETTINGS)
    (tmp_path / "stack.tf").write_text(ACROSS.replace("THERE", there.number))
    (tmp_path / "cli.tfrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\n'
    )
    environment = {
        **account.environment(),
        "TF_CLI_CONFIG_FILE": str(tmp_path / "cli.tfrc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }

    def terraform(*words: str) -> str:
        assert TERRAFORM is not None
        done = subprocess.run(
            [TERRAFORM, *words, "-no-color"], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
        return done.stdout

    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false", "-parallelism=20")
    terraform("plan", "-detailed-exitcode", "-input=false", "-parallelism=20")
    made = {name: one["value"] for name, one in json.loads(terraform("output", "-json")).items()}
    keys = (made["access_key"], made["secret_key"])

    guest = account.client("s3", keys=keys, signature_version="s3v4")
    bucket = f"menu-{there.number}"
    assert guest.get_object(Bucket=bucket, Key="tea")["Body"].read() == b"hot"
    assert refusal(lambda: guest.put_object(Bucket=bucket, Key="tea"))[0] == "AccessDenied"
    queues = account.client("sqs", keys=keys)
    queues.send_message(QueueUrl=made["queue"], MessageBody="a cup")
    with pytest.raises(ClientError):
        queues.receive_message(QueueUrl=made["queue"])
    serving = session(account, keys, f"arn:aws:iam::{there.number}:role/serving")
    assert refusal(there.client("sqs", keys=serving).list_queues)[0].startswith("AccessDenied")

    terraform("destroy", "-auto-approve", "-input=false", "-parallelism=20")
    assert [one["RoleName"] for one in iam.list_roles()["Roles"]] == ["building"]
    assert there.client("s3").list_buckets()["Buckets"] == []
    assert "QueueUrls" not in there.client("sqs").list_queues()
    assert account.client("iam").list_users()["Users"] == []
