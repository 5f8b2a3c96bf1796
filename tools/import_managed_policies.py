"""Writes src/doppio/data/aws_managed_policies.json: the best-known policies of AWS's own.

With them come those of all service-linked roles, and of the tasks of member accounts' root.

Source: the documents as published in AWS's managed policy reference, taken from a table that
another installed package carries (moto's `aws_managed_policies`). Run by hand.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from doppio.services.iam.linked_services import linked_services

TARGET = Path(__file__).parent.parent / "src" / "doppio" / "data" / "aws_managed_policies.json"
WANTED = [
    "AdministratorAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "SecurityAudit",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "IAMUserChangePassword",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSQSFullAccess",
    "AmazonSQSReadOnlyAccess",
    "AmazonSNSFullAccess",
    "AmazonSNSReadOnlyAccess",
    "AmazonDynamoDBFullAccess",
    "AmazonDynamoDBReadOnlyAccess",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonVPCFullAccess",
    "AmazonVPCReadOnlyAccess",
    "AmazonRDSFullAccess",
    "AmazonRDSReadOnlyAccess",
    "AmazonKinesisFullAccess",
    "AmazonKinesisReadOnlyAccess",
    "AWSLambda_FullAccess",
    "AWSLambda_ReadOnlyAccess",
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaRole",
    "CloudWatchFullAccess",
    "CloudWatchReadOnlyAccess",
    "CloudWatchLogsFullAccess",
    "CloudWatchLogsReadOnlyAccess",
    "CloudWatchAgentServerPolicy",
    "AmazonSSMFullAccess",
    "AmazonSSMReadOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonECSTaskExecutionRolePolicy",
    "AmazonECS_FullAccess",
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryFullAccess",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2ContainerRegistryPowerUser",
    "AmazonRoute53FullAccess",
    "AmazonRoute53ReadOnlyAccess",
    "ElasticLoadBalancingFullAccess",
    "ElasticLoadBalancingReadOnly",
    "AutoScalingFullAccess",
    "AutoScalingReadOnlyAccess",
    "SecretsManagerReadWrite",
    "AWSKeyManagementServicePowerUser",
    "AWSCloudFormationFullAccess",
    "AWSCloudFormationReadOnlyAccess",
    "AmazonElasticFileSystemFullAccess",
    "AmazonElastiCacheFullAccess",
    "AWSStepFunctionsFullAccess",
    "AmazonEventBridgeFullAccess",
    "AWSCloudTrail_FullAccess",
    "AWSCloudTrail_ReadOnlyAccess",
    "AmazonAPIGatewayAdministrator",
    "AmazonAPIGatewayInvokeFullAccess",
    "AWSBackupServiceRolePolicyForBackup",
    "Billing",
    "ViewOnlyAccess",
    "DatabaseAdministrator",
    "NetworkAdministrator",
    "SystemAdministrator",
]


def row(name: str, found: dict[str, Any]) -> dict[str, str]:
    """One policy as we keep it; the id is made from the ARN, since AWS publishes none."""
    arn = f"arn:aws:iam::aws:policy{found['Path']}{name}"
    digest = hashlib.sha256(arn.encode()).hexdigest().upper()
    text = "".join(char for char in digest if char in "ABCDEF234567")[:16].ljust(16, "A")
    return {
        "arn": arn,
        "name": name,
        "path": found["Path"],
        "id": f"ANPA{text}",
        "version": found["DefaultVersionId"],
        "created": found["CreateDate"],
        "updated": found.get("UpdateDate", found["CreateDate"]),
        "document": json.dumps(found["Document"], separators=(",", ":")),
    }


def main() -> None:
    """Write the table."""
    from moto.iam.aws_managed_policies import (  # type: ignore[import-not-found]
        aws_managed_policies_data,
    )

    known = json.loads(aws_managed_policies_data)
    wanted = {*WANTED, *(one.policy.rpartition("/")[2] for one in linked_services().values())}
    wanted.update(name for name, found in known.items() if found["Path"] == "/root-task/")
    assert wanted <= known.keys(), sorted(wanted - known.keys())
    rows = [row(name, known[name]) for name in sorted(wanted)]
    source = f"AWS managed policy reference, by moto {importlib.metadata.version('moto')}"
    TARGET.write_text(json.dumps({"source": source, "policies": rows}, indent=0) + "\n")


if __name__ == "__main__":
    main()
