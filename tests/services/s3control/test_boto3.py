"""S3 Control through a real client, also with the hosts that AWS gives it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Account, Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below localhost lead here, as they do where a resolver knows them."""
    real = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **more: Any) -> Any:
        local = isinstance(host, str) and host.endswith(".localhost")
        return real("127.0.0.1" if local else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


def at_localhost(account: Account, service: str, **more: Any) -> Any:
    """A client whose endpoint has a name, before which clients put accounts and access points."""
    endpoint = account.endpoint_url.replace("127.0.0.1", "localhost")
    account.endpoint_url = endpoint
    return account.client(service, **more)


@pytest.mark.parametrize("prefixed", [True, False])
def test_the_accounts_block_goes_there_and_back(cloud: Cloud, here: None, prefixed: bool) -> None:
    from botocore.config import Config
    from botocore.exceptions import ClientError

    account = cloud.account()
    control = at_localhost(account, "s3control", config=Config(inject_host_prefix=prefixed))
    me = account.account_id
    with pytest.raises(ClientError) as refused:
        control.get_public_access_block(AccountId=me)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404
    block = {"BlockPublicAcls": True, "RestrictPublicBuckets": True}
    control.put_public_access_block(AccountId=me, PublicAccessBlockConfiguration=block)
    found = control.get_public_access_block(AccountId=me)["PublicAccessBlockConfiguration"]
    assert found == block | {"IgnorePublicAcls": False, "BlockPublicPolicy": False}
    control.delete_public_access_block(AccountId=me)
    with pytest.raises(ClientError) as refused:
        control.get_public_access_block(AccountId="999999999999")
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
