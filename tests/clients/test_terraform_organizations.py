"""Terraform makes an organisation, needs nothing more, and takes it away.

A closed account stays in its organisation for 90 days, so this cloud is one whose clock may jump.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from doppio.testing import Cloud

from .terraform_organizations import MEMBER, ORGANIZATION
from .test_terraform import MIRROR, SETTINGS, TERRAFORM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TERRAFORM is None, reason="Terraform is not installed"),
    pytest.mark.skipif(MIRROR is None, reason="there is no mirror of the provider on this machine"),
]


def test_an_organisation_is_applied_needs_nothing_more_and_is_destroyed(tmp_path: Path) -> None:
    (tmp_path / "settings.tf").write_text(SETTINGS)
    (tmp_path / "stack.tf").write_text(ORGANIZATION)
    (tmp_path / "member.tf").write_text(MEMBER)
    (tmp_path / "cli.tfrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\n'
    )
    with Cloud() as cloud:
        master = cloud.account()
        environment = {
            **master.environment(),
            "TF_CLI_CONFIG_FILE": str(tmp_path / "cli.tfrc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

        def terraform(*words: str) -> str:
            assert TERRAFORM is not None
            done = subprocess.run(
                [TERRAFORM, *words, "-no-color"], cwd=tmp_path, env=environment, text=True,
                capture_output=True, check=False, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
            return done.stdout

        organizations = master.client("organizations")
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false", "-parallelism=20")
        # Status 0: the plan is empty; 2 would be a plan with changes.
        terraform("plan", "-detailed-exitcode", "-input=false", "-parallelism=20")
        members = organizations.list_accounts()["Accounts"]
        assert {one["Name"] for one in members} >= {"till"}
        (tmp_path / "member.tf").unlink()
        terraform("apply", "-auto-approve", "-input=false", "-parallelism=20")
        states = {one["Name"]: one["Status"] for one in organizations.list_accounts()["Accounts"]}
        assert states["till"] == "SUSPENDED"
        cloud.advance("91d")
        terraform("destroy", "-auto-approve", "-input=false", "-parallelism=20")
        with pytest.raises(organizations.exceptions.AWSOrganizationsNotInUseException):
            organizations.describe_organization()
