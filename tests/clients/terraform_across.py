"""A stack of two accounts for Terraform: it becomes a role in the other one, and lets a user in there."""

from __future__ import annotations

ACROSS = """
provider "aws" {
  alias                   = "there"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  skip_region_validation  = true
  assume_role {
    role_arn     = "arn:aws:iam::THERE:role/team/building"
    external_id  = "espresso"
    session_name = "terraform"
  }
}
resource "aws_iam_user" "barista" {
  name = "barista"
}
resource "aws_iam_access_key" "barista" {
  user = aws_iam_user.barista.name
}
resource "aws_iam_user_policy" "barista" {
  name = "visiting"
  user = aws_iam_user.barista.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect   = "Allow"
    Action   = ["s3:GetObject", "sqs:SendMessage", "kms:Decrypt", "sts:AssumeRole"]
    Resource = [
      "${aws_s3_bucket.menu.arn}/*", aws_sqs_queue.orders.arn, aws_kms_key.recipes.arn,
      aws_iam_role.serving.arn,
    ]
  }] })
}
resource "aws_kms_key" "recipes" {
  provider                = aws.there
  deletion_window_in_days = 7
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Principal = { AWS = "arn:aws:iam::THERE:root" }, Action = "kms:*", Resource = "*" },
    { Effect = "Allow", Principal = { AWS = aws_iam_user.barista.arn }, Action = "kms:Decrypt", Resource = "*" },
  ] })
}
resource "aws_s3_bucket" "menu" {
  provider      = aws.there
  bucket        = "menu-THERE"
  force_destroy = true
}
resource "aws_s3_bucket_server_side_encryption_configuration" "menu" {
  provider = aws.there
  bucket   = aws_s3_bucket.menu.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.recipes.arn
    }
  }
}
resource "aws_s3_object" "tea" {
  provider   = aws.there
  depends_on = [aws_s3_bucket_server_side_encryption_configuration.menu]
  bucket     = aws_s3_bucket.menu.id
  key        = "tea"
  content    = "hot"
}
resource "aws_s3_bucket_policy" "menu" {
  provider = aws.there
  bucket   = aws_s3_bucket.menu.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { AWS = aws_iam_user.barista.arn }
    Action    = "s3:GetObject"
    Resource  = "${aws_s3_bucket.menu.arn}/*"
  }] })
}
resource "aws_sqs_queue" "orders" {
  provider = aws.there
  name     = "orders"
}
resource "aws_sqs_queue_policy" "orders" {
  provider  = aws.there
  queue_url = aws_sqs_queue.orders.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { AWS = aws_iam_user.barista.arn }
    Action    = "sqs:SendMessage"
    Resource  = aws_sqs_queue.orders.arn
  }] })
}
resource "aws_iam_role" "serving" {
  provider = aws.there
  name     = "serving"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Principal = { AWS = aws_iam_user.barista.arn }, Action = "sts:AssumeRole"
  }] })
}
output "access_key" {
  value = aws_iam_access_key.barista.id
}
output "secret_key" {
  value     = aws_iam_access_key.barista.secret
  sensitive = true
}
output "queue" {
  value = aws_sqs_queue.orders.id
}
"""
