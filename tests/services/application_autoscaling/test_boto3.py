"""Application Auto Scaling through a real client."""

from __future__ import annotations

from doppio.testing import Cloud


def test_a_client_lets_a_table_scale() -> None:
    with Cloud() as cloud:
        account = cloud.account()
        db, scaling = account.client("dynamodb"), account.client("application-autoscaling")
        db.create_table(
            TableName="orders", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        )  # fmt: skip
        db.get_waiter("table_exists").wait(TableName="orders")
        where = {
            "ServiceNamespace": "dynamodb", "ResourceId": "table/orders",
            "ScalableDimension": "dynamodb:table:WriteCapacityUnits",
        }  # fmt: skip
        scaling.register_scalable_target(**where, MinCapacity=2, MaxCapacity=10)
        metric = {"PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}
        made = scaling.put_scaling_policy(
            **where, PolicyName="p", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 70.0, "PredefinedMetricSpecification": metric,
            },
        )  # fmt: skip
        assert len(made["Alarms"]) == 4
        cloud.advance("5s")
        [done] = scaling.describe_scaling_activities(ServiceNamespace="dynamodb")[
            "ScalingActivities"
        ]
        assert done["Cause"] == "minimum capacity was set to 2"
        pages = scaling.get_paginator("describe_scaling_policies").paginate(
            ServiceNamespace="dynamodb"
        )
        assert [one["PolicyName"] for page in pages for one in page["ScalingPolicies"]] == ["p"]
