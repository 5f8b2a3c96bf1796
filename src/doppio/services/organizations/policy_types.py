"""The types of policy: what each may hold and how often it hangs on something; and AWS's own.

Source: "Quotas for AWS Organizations", and each type's page in the user guide.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from doppio.services.organizations.records import Policy

SCP = "SERVICE_CONTROL_POLICY"
RCP = "RESOURCE_CONTROL_POLICY"


class PolicyType(NamedTuple):
    """One type. `member` is the one member that documents of it have; None where we know none.

    `service` must have access to the organisation before the type is enabled. `guards` is what
    the kernel calls it, where it enforces it.
    """

    chars_max: int
    attached_max: int
    policies_max: int = 1_000
    member: str | None = None
    service: str | None = None
    guards: Literal["scp", "rcp"] | None = None


TYPES: dict[str, PolicyType] = {
    SCP: PolicyType(5_120, 5, 10_000, guards="scp"),
    RCP: PolicyType(5_120, 5, guards="rcp"),
    "TAG_POLICY": PolicyType(10_000, 10, member="tags"),
    "BACKUP_POLICY": PolicyType(10_000, 10, member="plans"),
    "AISERVICES_OPT_OUT_POLICY": PolicyType(2_500, 5, member="services"),
    "CHATBOT_POLICY": PolicyType(10_000, 5, member="chatbot"),
    "DECLARATIVE_POLICY_EC2": PolicyType(10_000, 10, member="ec2_attributes"),
    "SECURITYHUB_POLICY": PolicyType(
        10_000, 10, member="securityhub", service="securityhub.amazonaws.com"
    ),
    "SECURITYHUB_CSPM_POLICY": PolicyType(10_000, 10, service="securityhub.amazonaws.com"),
    "INSPECTOR_POLICY": PolicyType(
        10_000, 10, member="inspector", service="inspector2.amazonaws.com"
    ),
    "UPGRADE_ROLLOUT_POLICY": PolicyType(10_000, 10, member="upgrade_rollout"),
    "BEDROCK_POLICY": PolicyType(10_000, 10, member="bedrock"),
    "S3_POLICY": PolicyType(10_000, 10, member="s3_attributes"),
    "NETWORK_SECURITY_DIRECTOR_POLICY": PolicyType(10_000, 10),
    "GUARDDUTY_POLICY": PolicyType(10_000, 10, service="guardduty.amazonaws.com"),
}
_LAUNCHED = datetime(2016, 11, 28, tzinfo=UTC)
_EVERYTHING = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",%s
      "Action": "*",
      "Resource": "*"
    }
  ]
}"""
FULL_ACCESS = Policy(
    organization="aws", id="p-FullAWSAccess", type=SCP, name="FullAWSAccess",
    description="Allows access to every operation", content=_EVERYTHING % "",
    updated_at=_LAUNCHED, managed=True,
)  # fmt: skip
RCP_FULL_ACCESS = Policy(
    organization="aws", id="p-RCPFullAWSAccess", type=RCP, name="RCPFullAWSAccess",
    description="Allows access to every resource",
    content=_EVERYTHING % '\n      "Principal": "*",', updated_at=_LAUNCHED, managed=True,
)  # fmt: skip
MANAGED = {policy.id: policy for policy in (FULL_ACCESS, RCP_FULL_ACCESS)}
# What hangs on everything in an organisation from the moment a type is enabled.
BY_DEFAULT = {SCP: FULL_ACCESS, RCP: RCP_FULL_ACCESS}
