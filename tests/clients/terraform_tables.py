"""A stack of S3 Tables for Terraform."""

from __future__ import annotations

TABLES = """
data "aws_iam_policy_document" "key" {
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::ACCOUNT:root"]
    }
  }
  statement {
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["maintenance.s3tables.amazonaws.com"]
    }
  }
}
resource "aws_kms_key" "lake" {
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.key.json
}
resource "aws_s3tables_table_bucket" "lake" {
  name = "lake"
  encryption_configuration = {
    sse_algorithm = "aws:kms"
    kms_key_arn   = aws_kms_key.lake.arn
  }
  maintenance_configuration = {
    iceberg_unreferenced_file_removal = {
      status   = "enabled"
      settings = { unreferenced_days = 4, non_current_days = 11 }
    }
  }
}
resource "aws_s3tables_namespace" "shop" {
  namespace        = "shop"
  table_bucket_arn = aws_s3tables_table_bucket.lake.arn
}
resource "aws_s3tables_table" "orders" {
  name             = "orders"
  namespace        = aws_s3tables_namespace.shop.namespace
  table_bucket_arn = aws_s3tables_table_bucket.lake.arn
  format           = "ICEBERG"
  maintenance_configuration = {
    iceberg_compaction = {
      status   = "enabled"
      settings = { target_file_size_mb = 64 }
    }
    iceberg_snapshot_management = {
      status   = "enabled"
      settings = { max_snapshot_age_hours = 48, min_snapshots_to_keep = 2 }
    }
  }
}
resource "aws_s3tables_table" "plain" {
  name             = "plain"
  namespace        = aws_s3tables_namespace.shop.namespace
  table_bucket_arn = aws_s3tables_table_bucket.lake.arn
  format           = "ICEBERG"
}
data "aws_iam_policy_document" "lake" {
  statement {
    actions   = ["s3tables:GetTable"]
    resources = ["${aws_s3tables_table_bucket.lake.arn}/*"]
    principals {
      type        = "AWS"
      identifiers = ["ACCOUNT"]
    }
  }
}
resource "aws_s3tables_table_bucket_policy" "lake" {
  resource_policy  = data.aws_iam_policy_document.lake.json
  table_bucket_arn = aws_s3tables_table_bucket.lake.arn
}
data "aws_iam_policy_document" "orders" {
  statement {
    actions   = ["s3tables:GetTableData"]
    resources = [aws_s3tables_table.orders.arn]
    principals {
      type        = "AWS"
      identifiers = ["ACCOUNT"]
    }
  }
}
resource "aws_s3tables_table_policy" "orders" {
  resource_policy  = data.aws_iam_policy_document.orders.json
  name             = aws_s3tables_table.orders.name
  namespace        = aws_s3tables_table.orders.namespace
  table_bucket_arn = aws_s3tables_table_bucket.lake.arn
}
"""
