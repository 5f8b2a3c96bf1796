"""A stack of roles and of who trusts whom for Terraform."""

from __future__ import annotations

TRUST = """
resource "aws_iam_service_linked_role" "scaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "shop"
  description      = "keeps as many baristas as there is coffee for"
  tags             = { team = "bar" }
}
resource "aws_iam_service_linked_role" "news" {
  aws_service_name = "apidestinations.events.amazonaws.com"
}
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.brewing.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["espresso"]
    }
  }
}
resource "aws_iam_role" "brewing" {
  name = "brewing"
  path = "/team/"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole"
  }] })
}
resource "aws_iam_role" "serving" {
  name                 = "serving"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 7200
  permissions_boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
"""
