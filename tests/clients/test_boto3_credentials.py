"""IAM's credentials and providers through boto3, over the network."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from tests.services.iam.certificates import issued
from tests.services.sts.idp import AWS, SIGN_IN, IdP, encoded

from .conftest import Account


def code_of(call: Any, **req: Any) -> tuple[str, int]:
    """Code and status with which a call fails."""
    with pytest.raises(ClientError) as caught:
        call(**req)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_passwords_are_what_the_policy_says(account: Account) -> None:
    iam = account.client("iam")
    assert code_of(iam.get_account_password_policy) == ("NoSuchEntity", 404)
    iam.update_account_password_policy(MinimumPasswordLength=10, RequireSymbols=True)
    policy = iam.get_account_password_policy()["PasswordPolicy"]
    assert (policy["MinimumPasswordLength"], policy["ExpirePasswords"]) == (10, False)
    iam.create_user(UserName="alice")
    weak = {"UserName": "alice", "Password": "longenough1"}
    assert code_of(iam.create_login_profile, **weak) == ("PasswordPolicyViolation", 400)
    made = iam.create_login_profile(UserName="alice", Password="long enough!")
    assert made["LoginProfile"]["UserName"] == "alice"


def test_a_server_certificate_is_taken_and_shown(account: Account) -> None:
    iam = account.client("iam")
    now = datetime.now(UTC).replace(microsecond=0)
    root = issued("Root", since=now)
    shop = issued("shop.example.com", root, since=now)
    req = {
        "ServerCertificateName": "shop", "CertificateBody": shop.pem,
        "CertificateChain": root.pem,
    }  # fmt: skip
    mixed = {**req, "PrivateKey": root.key_pem}
    assert code_of(iam.upload_server_certificate, **mixed) == ("KeyPairMismatch", 400)
    iam.upload_server_certificate(**req, PrivateKey=shop.key_pem)
    got = iam.get_server_certificate(ServerCertificateName="shop")["ServerCertificate"]
    assert got["CertificateBody"] == shop.pem.strip()
    about = got["ServerCertificateMetadata"]
    assert about["Expiration"] == shop.certificate.not_valid_after_utc


def test_the_credential_report_is_csv(account: Account) -> None:
    iam = account.client("iam")
    iam.create_user(UserName="alice")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    assert iam.generate_credential_report()["State"] == "STARTED"
    for _ in range(50):
        if iam.generate_credential_report()["State"] == "COMPLETE":
            break
        time.sleep(0.1)
    got = iam.get_credential_report()
    root, alice = csv.DictReader(io.StringIO(got["Content"].decode()))
    assert (root["user"], alice["user"]) == ("<root_account>", "alice")
    assert alice["access_key_1_active"] == "true"
    assert key["AccessKeyId"] not in got["Content"].decode()


def test_the_accounts_details_come_with_documents_that_boto3_decodes(account: Account) -> None:
    iam = account.client("iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a%25 + b"}],
    }
    for name in ("alice", "bob"):
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    found: list[Any] = []
    pages = iam.get_paginator("get_account_authorization_details")
    for page in pages.paginate(Filter=["User"], PaginationConfig={"PageSize": 1}):
        found += page["UserDetailList"]
    assert [one["UserName"] for one in found] == ["alice", "bob"]
    assert all(one["UserPolicyList"][0]["PolicyDocument"] == document for one in found)
    assert iam.get_user_policy(UserName="bob", PolicyName="p")["PolicyDocument"] == document
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 2


def test_who_comes_with_a_saml_response_needs_no_keys(account: Account) -> None:
    iam, idp = account.client("iam"), IdP()
    provider = iam.create_saml_provider(Name="Cafe", SAMLMetadataDocument=idp.metadata())[
        "SAMLProviderArn"
    ]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithSAML",
            "Condition": {"StringEquals": {"SAML:aud": SIGN_IN}},
        }],
    }  # fmt: skip
    role = iam.create_role(RoleName="brewing", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    assert role["AssumeRolePolicyDocument"] == trust
    said = {f"{AWS}Role": [f"{role['Arn']},{provider}"], f"{AWS}RoleSessionName": ["shift"]}
    response = idp.response(idp.signed(idp.assertion(datetime.now(UTC), said)))
    nobody = account.client("sts", keys=(), signature_version=UNSIGNED)
    req = {"RoleArn": role["Arn"], "PrincipalArn": provider, "SAMLAssertion": encoded(response)}
    got = nobody.assume_role_with_saml(**req)
    assert (got["Subject"], got["Audience"]) == ("barista-1", SIGN_IN)
    credentials = got["Credentials"]
    keys = tuple(credentials[one] for one in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    me = account.client("sts", keys=keys).get_caller_identity()
    assert me["Arn"] == f"arn:aws:sts::{account.number}:assumed-role/brewing/shift"
    old = idp.response(idp.signed(idp.assertion(datetime(2020, 1, 1, tzinfo=UTC), said)))
    req["SAMLAssertion"] = encoded(old)
    assert code_of(nobody.assume_role_with_saml, **req) == ("ExpiredTokenException", 400)


def test_a_message_that_is_not_ours_is_not_decoded(account: Account) -> None:
    decode = account.client("sts").decode_authorization_message
    assert code_of(decode, EncodedMessage="nothing") == (
        "InvalidAuthorizationMessageException", 400,
    )  # fmt: skip
