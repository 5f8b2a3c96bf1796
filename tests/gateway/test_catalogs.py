"""The REST catalog on the wire: paths, signatures, and errors that are Iceberg's."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doppio.testing import Cloud

HTTP = urllib3.PoolManager()


def ask(
    cloud: Cloud, method: str, path: str, body: Any = None, *, key: str = ""
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request to the catalog."""
    url = f"{cloud.endpoint_url}/iceberg/v1/{path}"
    data = b"" if body is None else json.dumps(body).encode()
    request = AWSRequest(method=method, url=url, data=data)
    keys = Credentials(key or cloud.access_key_id, cloud.secret_access_key)
    SigV4Auth(keys, "s3tables", cloud.region).add_auth(request)
    answer = HTTP.request(method, url, body=data, headers=dict(request.headers.items()))
    return answer.status, json.loads(answer.data or b"{}")


def error(cloud: Cloud, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
    """Status and kind of an error."""
    status, found = ask(cloud, method, path, body, **more)
    assert found["error"]["code"] == status
    assert found["error"]["message"]
    return status, found["error"]["type"]


def test_errors_are_those_of_iceberg() -> None:
    with Cloud() as cloud:
        arn = cloud.client("s3tables").create_table_bucket(name="lake")["arn"]
        lake = quote(arn, safe="")
        status, config = ask(cloud, "GET", f"config?warehouse={lake}")
        assert (status, config["overrides"]) == (200, {"prefix": lake})
        missing = quote(f"{arn}-not", safe="")
        assert error(cloud, "GET", f"config?warehouse={missing}") == (
            404,
            "NoSuchWarehouseException",
        )
        assert error(cloud, "GET", "config?warehouse=x") == (400, "BadRequestException")
        where = f"{lake}/namespaces"
        assert error(cloud, "GET", f"{where}/no") == (404, "NoSuchNamespaceException")
        assert ask(cloud, "POST", where, {"namespace": ["ns"]})[0] == 200
        assert error(cloud, "POST", where, {"namespace": ["ns"]}) == (409, "AlreadyExistsException")
        two = {"namespace": ["a", "b"]}
        assert error(cloud, "POST", where, two) == (400, "BadRequestException")
        assert error(cloud, "GET", f"{where}/ns/tables/no") == (404, "NoSuchTableException")
        assert error(cloud, "POST", f"{where}/ns/tables", {"name": "t"})[1] == "BadRequestException"
        staged = {"name": "t", "stage-create": True}
        assert error(cloud, "POST", f"{where}/ns/tables", staged)[1] == "BadRequestException"
        assert error(cloud, "DELETE", f"{where}/ns/tables/no")[1] == "BadRequestException"
        assert error(cloud, "GET", f"{lake}/views") == (406, "UnsupportedOperationException")
        assert ask(cloud, "HEAD", f"{where}/ns")[0] == 204
        assert ask(cloud, "HEAD", f"{where}/no")[0] == 404
        assert error(cloud, "GET", f"{where}?pageSize=0") == (400, "BadRequestException")


def test_a_signature_must_hold() -> None:
    with Cloud() as cloud:
        arn = cloud.client("s3tables").create_table_bucket(name="lake")["arn"]
        path = f"config?warehouse={quote(arn, safe='')}"
        nobody = error(cloud, "GET", path, key="AKIAIOSFODNN7EXAMPLE")
        assert nobody == (401, "NotAuthorizedException")


def test_a_bucket_called_iceberg_is_a_bucket() -> None:
    with Cloud() as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="iceberg")
        s3.put_object(Bucket="iceberg", Key="v1/config", Body=b"mine")
        assert s3.get_object(Bucket="iceberg", Key="v1/config")["Body"].read() == b"mine"
        answer = HTTP.request("GET", f"{cloud.endpoint_url}/iceberg/v1/config?warehouse=x")
        assert answer.status == 403, "without a signature it is S3's"
        assert b"AccessDenied" in answer.data
