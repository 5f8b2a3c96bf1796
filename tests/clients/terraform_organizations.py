"""A stack of Organizations for Terraform."""

from __future__ import annotations

# What there is without the member account; it is closed first, and leaves in 90 days.
ORGANIZATION = """
resource "aws_organizations_organization" "shop" {
  feature_set                   = "ALL"
  enabled_policy_types          = ["SERVICE_CONTROL_POLICY", "TAG_POLICY"]
  aws_service_access_principals = [
    "config.amazonaws.com", "iam.amazonaws.com", "ram.amazonaws.com",
  ]
}
resource "aws_iam_organizations_features" "shop" {
  enabled_features = ["RootCredentialsManagement", "RootSessions"]
  depends_on       = [aws_organizations_organization.shop]
}
resource "aws_organizations_organizational_unit" "bars" {
  name      = "bars"
  parent_id = aws_organizations_organization.shop.roots[0].id
  tags      = { team = "bar" }
}
resource "aws_organizations_organizational_unit" "corner" {
  name      = "corner"
  parent_id = aws_organizations_organizational_unit.bars.id
}
resource "aws_organizations_policy" "no_queues" {
  name        = "no-queues"
  description = "nobody makes queues"
  content = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "queues", Effect = "Deny", Action = "sqs:CreateQueue", Resource = "*" }
  ] })
  tags       = { team = "bar" }
  depends_on = [aws_organizations_organization.shop]
}
resource "aws_organizations_policy" "teams" {
  name    = "teams"
  type    = "TAG_POLICY"
  content = jsonencode({ tags = { team = {
    tag_key = { "@@assign" = "team" }, tag_value = { "@@assign" = ["bar", "shop"] },
    enforced_for = { "@@assign" = ["sqs:queue"] }
  } } })
  depends_on = [aws_organizations_organization.shop]
}
resource "aws_organizations_policy_attachment" "no_queues" {
  policy_id = aws_organizations_policy.no_queues.id
  target_id = aws_organizations_organizational_unit.corner.id
}
resource "aws_organizations_policy_attachment" "teams" {
  policy_id = aws_organizations_policy.teams.id
  target_id = aws_organizations_organization.shop.roots[0].id
}
resource "aws_organizations_resource_policy" "shop" {
  content = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid = "read", Effect = "Allow", Principal = { AWS = "arn:aws:iam::111122223333:root" },
    Action = ["organizations:DescribeOrganization", "organizations:ListPolicies"], Resource = "*"
  }] })
  depends_on = [aws_organizations_organization.shop]
}
"""
MEMBER = """
resource "aws_organizations_account" "till" {
  name              = "till"
  email             = "till@example.com"
  parent_id         = aws_organizations_organizational_unit.corner.id
  close_on_deletion = true
  tags              = { team = "bar" }
}
resource "aws_organizations_delegated_administrator" "till" {
  account_id        = aws_organizations_account.till.id
  service_principal = "config.amazonaws.com"
  depends_on        = [aws_organizations_organization.shop]
}
"""
