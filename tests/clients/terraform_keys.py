"""A stack of keys, secrets and parameters for Terraform, in two Regions."""

from __future__ import annotations

KEYS = """
provider "aws" {
  alias                       = "west"
  region                      = "us-west-2"
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
resource "aws_kms_key" "recipes" {
  description              = "recipes"
  multi_region             = true
  enable_key_rotation      = true
  rotation_period_in_days  = 180
  deletion_window_in_days  = 7
}
resource "aws_kms_replica_key" "recipes" {
  provider                = aws.west
  description             = "recipes, too"
  deletion_window_in_days = 7
  primary_key_arn         = aws_kms_key.recipes.arn
  tags                    = { team = "bar" }
}
resource "aws_kms_external_key" "brought" {
  description             = "brought"
  deletion_window_in_days = 7
  enabled                 = true
  key_material_base64     = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
}
resource "aws_kms_key" "agree" {
  customer_master_key_spec = "ECC_NIST_P384"
  key_usage                = "KEY_AGREEMENT"
  deletion_window_in_days  = 7
}
resource "aws_kms_alias" "recipes" {
  name          = "alias/keys"
  target_key_id = aws_kms_key.recipes.key_id
}
resource "aws_kms_grant" "barista" {
  name              = "barista"
  key_id            = aws_kms_key.recipes.key_id
  grantee_principal = aws_iam_role.barista.arn
  operations        = ["Encrypt", "Decrypt"]
  constraints { encryption_context_equals = { shop = "one" } }
}
resource "aws_iam_role" "barista" {
  name = "keys-barista"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }
  ] })
}
resource "aws_secretsmanager_secret" "till" {
  name                           = "till"
  description                    = "the till's code"
  kms_key_id                     = aws_kms_key.recipes.arn
  recovery_window_in_days        = 0
  force_overwrite_replica_secret = true
  replica {
    region     = "us-west-2"
    kms_key_id = aws_kms_replica_key.recipes.arn
  }
}
resource "aws_secretsmanager_secret_version" "till" {
  secret_id     = aws_secretsmanager_secret.till.id
  secret_string = jsonencode({ code = "1234" })
}
resource "aws_secretsmanager_secret_policy" "till" {
  secret_arn = aws_secretsmanager_secret.till.arn
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = "*",
    Principal = { AWS = aws_iam_role.barista.arn }
  }] })
}
resource "aws_ssm_parameter" "open" {
  name            = "/shop/open"
  type            = "String"
  tier            = "Advanced"
  value           = "8"
  data_type       = "text"
  allowed_pattern = "^[0-9]+$"
  tags            = { team = "bar" }
}
resource "aws_ssm_parameter" "code" {
  name   = "/shop/code"
  type   = "SecureString"
  key_id = aws_kms_key.recipes.arn
  value  = "1234"
}
resource "aws_ssm_parameter" "list" {
  name  = "/shop/list"
  type  = "StringList"
  tier  = "Intelligent-Tiering"
  value = "milk,beans"
}
resource "aws_ssm_service_setting" "tier" {
  setting_id    = "arn:aws:ssm:us-east-1:ACCOUNT:servicesetting/ssm/parameter-store/default-parameter-tier"
  setting_value = "Intelligent-Tiering"
}
data "aws_ssm_parameter" "region" {
  name = "/aws/service/global-infrastructure/regions/us-east-1/longName"
}
"""
