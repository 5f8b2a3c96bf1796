"""A stack of DAX for Terraform."""

from __future__ import annotations

DAX = """
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["dax.amazonaws.com"]
    }
  }
}
resource "aws_iam_role" "cache" {
  name               = "cache"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
resource "aws_dax_parameter_group" "short" {
  name        = "short"
  description = "for a moment"
  parameters {
    name  = "query-ttl-millis"
    value = "1000"
  }
  parameters {
    name  = "record-ttl-millis"
    value = "2000"
  }
}
resource "aws_dax_subnet_group" "two" {
  name       = "two"
  subnet_ids = ["subnet-11111111", "subnet-22222222"]
}
resource "aws_dax_cluster" "bar" {
  cluster_name                     = "bar"
  iam_role_arn                     = aws_iam_role.cache.arn
  node_type                        = "dax.t3.small"
  replication_factor               = 2
  description                      = "what is asked most"
  parameter_group_name             = aws_dax_parameter_group.short.name
  subnet_group_name                = aws_dax_subnet_group.two.name
  security_group_ids               = ["sg-12345678"]
  maintenance_window               = "sun:01:00-sun:02:00"
  cluster_endpoint_encryption_type = "TLS"
  server_side_encryption { enabled = true }
  tags = { team = "bar" }
}
output "endpoint" { value = aws_dax_cluster.bar.cluster_address }
"""
