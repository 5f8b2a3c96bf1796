"""A stack of IAM's credentials and providers for Terraform."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.services.iam.certificates import issued, rsa_key
from tests.services.sts.idp import IdP

_NOW = datetime.now(UTC)
_ROOT = issued("Root", since=_NOW)
_SHOP = issued("shop.example.com", _ROOT, since=_NOW)
_OTHER = issued("barista", since=_NOW, key=rsa_key())


def _text(pem: str) -> str:
    return f"<<-PEM\n{pem}PEM\n"


CREDENTIALS = f"""
resource "aws_iam_account_password_policy" "strict" {{
  minimum_password_length        = 12
  require_symbols                = true
  require_numbers                = true
  require_lowercase_characters   = true
  require_uppercase_characters   = true
  allow_users_to_change_password = true
  max_password_age               = 90
  password_reuse_prevention      = 5
  hard_expiry                    = false
}}
resource "aws_iam_user" "barista" {{
  name          = "barista"
  force_destroy = true
}}
resource "aws_iam_user_login_profile" "barista" {{
  user            = aws_iam_user.barista.name
  password_length = 20
  depends_on      = [aws_iam_account_password_policy.strict]
}}
resource "aws_iam_virtual_mfa_device" "phone" {{
  virtual_mfa_device_name = "phone"
  tags                    = {{ team = "bar" }}
}}
resource "aws_iam_signing_certificate" "barista" {{
  user_name        = aws_iam_user.barista.name
  certificate_body = {_text(_OTHER.pem)}
}}
resource "aws_iam_service_specific_credential" "barista" {{
  user_name    = aws_iam_user.barista.name
  service_name = "codecommit.amazonaws.com"
}}
resource "aws_iam_server_certificate" "shop" {{
  name              = "shop"
  path              = "/cloudfront/shop/"
  certificate_body  = {_text(_SHOP.pem)}
  certificate_chain = {_text(_ROOT.pem)}
  private_key       = {_text(_SHOP.key_pem)}
  tags              = {{ team = "bar" }}
}}
resource "aws_iam_saml_provider" "cafe" {{
  name                   = "Cafe"
  saml_metadata_document = <<-XML
{IdP().metadata()}
XML
  tags                   = {{ team = "bar" }}
}}
resource "aws_iam_openid_connect_provider" "id" {{
  url             = "https://id.example.com"
  client_id_list  = ["till"]
  thumbprint_list = ["cf23df2207d99a74fbe169e3eba035e633b65d94"]
}}
resource "aws_iam_role" "federated" {{
  name = "federated"
  assume_role_policy = jsonencode({{ Version = "2012-10-17", Statement = [{{
    Effect    = "Allow", Action = ["sts:AssumeRoleWithSAML", "sts:TagSession"],
    Principal = {{ Federated = aws_iam_saml_provider.cafe.arn }},
    Condition = {{ StringEquals = {{ "SAML:aud" = "https://signin.aws.amazon.com/saml" }} }}
  }}] }})
}}
resource "aws_iam_role_policy" "federated" {{
  role = aws_iam_role.federated.id
  name = "documents"
  policy = jsonencode({{ Version = "2012-10-17", Statement = [{{
    Effect = "Allow", Action = "s3:GetObject", Resource = "arn:aws:s3:::menu/100%25 + $${{aws:username}}"
  }}] }})
}}
resource "aws_iam_security_token_service_preferences" "v2" {{
  global_endpoint_token_version = "v2Token"
}}
"""
