"""Amazon's own clients of DAX, unchanged, against a cluster of this cloud."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.crash.servers import Server
from tools.install_clients import JAVASCRIPT

from .conftest import Account
from .programs import needs, run

TABLE = "menu"


def cluster(account: Account, **req: Any) -> str:
    """A cluster and a table; the URL at which the cluster is found."""
    iam, dynamodb, dax = (account.client(one) for one in ("iam", "dynamodb", "dax"))
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "dax.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="cache",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="cache",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1})
    dax.create_cluster(
        ClusterName="c", NodeType="dax.t3.small", IamRoleArn=role,
        **{"ReplicationFactor": 2, **req},
    )  # fmt: skip
    end = time.monotonic() + 30
    while True:
        (found,) = dax.describe_clusters(ClusterNames=["c"])["Clusters"]
        if found["Status"] == "available":
            url: str = found["ClusterDiscoveryEndpoint"]["URL"]
            return url
        assert time.monotonic() < end
        time.sleep(0.1)


@needs("dax")
def test_the_python_client_reads_and_writes_by_a_cluster(account: Account) -> None:
    script = Path(__file__).with_name("dax_cache.py")
    said = run("dax", account, script, DAX_URL=cluster(account), DAX_TABLE=TABLE)
    assert said.split() == ["done"]


@needs("dax")
def test_the_python_client_speaks_tls_and_trusts_the_clouds_authority(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        account = Account([server.endpoint], "000000000009")
        url = cluster(account, ClusterEndpointEncryptionType="TLS")
        assert url.startswith("daxs://")
        said = run(
            "dax", account, Path(__file__).with_name("dax_cache.py"), DAX_URL=url,
            DAX_TABLE=TABLE, SSL_CERT_FILE=str(tmp_path / "data" / "ca" / "ca.pem"),
        )  # fmt: skip
        assert said.split() == ["done"]


@needs("dax-javascript")
def test_the_javascript_client_reads_and_writes_by_a_cluster(account: Account) -> None:
    said = run(
        "dax-javascript", account, Path(__file__).with_name("javascript_dax.mjs"),
        DAX_URL=cluster(account), DAX_TABLE=TABLE,
        DOPPIO_TEST_MODULES=f"{JAVASCRIPT}/package.json",
    )  # fmt: skip
    assert said.split() == ["done"]


@needs("dax")
def test_a_cluster_is_found_again_after_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server:
        account = Account([server.endpoint], "000000000009")
        url = cluster(account)
        run("dax", account, Path(__file__).with_name("dax_cache.py"), DAX_URL=url, DAX_TABLE=TABLE)
        server.kill()
        server.start()
        table = account.client("dynamodb")
        for item in table.scan(TableName=TABLE)["Items"]:
            table.delete_item(TableName=TABLE, Key={name: item[name] for name in ("id", "at")})
        said = run(
            "dax", account, Path(__file__).with_name("dax_cache.py"), DAX_URL=url, DAX_TABLE=TABLE
        )
        assert said.split() == ["done"]
