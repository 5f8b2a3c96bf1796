"""A stack of DynamoDB's global tables for Terraform."""

from __future__ import annotations

REPLICAS = """
provider "aws" {
  alias                       = "there"
  region                      = "eu-west-1"
  s3_use_path_style           = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
resource "aws_dynamodb_table" "orders" {
  name             = "orders"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
  attribute {
    name = "barista"
    type = "S"
  }
  global_secondary_index {
    name            = "by-barista"
    hash_key        = "barista"
    projection_type = "ALL"
  }
  replica {
    region_name            = "eu-central-1"
    point_in_time_recovery = true
  }
  replica { region_name = "us-west-2" }
}
resource "aws_dynamodb_table" "till" {
  name             = "till"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
  server_side_encryption { enabled = true }
  lifecycle { ignore_changes = [replica] }
}
resource "aws_dynamodb_table_replica" "till" {
  provider         = aws.there
  global_table_arn = aws_dynamodb_table.till.arn
  tags             = { team = "bar" }
}
resource "aws_dynamodb_table" "old" {
  name             = "old"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_dynamodb_table" "old_there" {
  provider         = aws.there
  name             = "old"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_dynamodb_global_table" "old" {
  name       = "old"
  depends_on = [aws_dynamodb_table.old, aws_dynamodb_table.old_there]
  replica { region_name = "us-east-1" }
  replica { region_name = "eu-west-1" }
}
"""
