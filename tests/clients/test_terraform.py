"""Terraform with AWS's provider, unchanged: apply, an empty plan, destroy.

The provider comes from a filesystem mirror; where there is none, the test says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.lambda_.base import zipped

from .conftest import Account
from .terraform_courier import COURIER
from .terraform_credentials import CREDENTIALS
from .terraform_dax import DAX
from .terraform_events import EVENTS
from .terraform_keys import KEYS
from .terraform_lambda import FUNCTIONS
from .terraform_replicas import REPLICAS
from .terraform_s3 import S3
from .terraform_tables import TABLES
from .terraform_trust import TRUST

TERRAFORM = shutil.which("terraform")
# A mirror is a folder of hosts, and below a host lie `hashicorp/aws`.
PLACES = (Path.home() / ".terraform.d", Path("/opt"), Path("/usr/share"), Path("/usr/local/share"))


def mirror() -> Path | None:
    """A folder that holds the provider: the one that is named, or one that lies about."""
    named = os.environ.get("DOPPIO_TEST_TERRAFORM_MIRROR")
    if named:
        return Path(named)
    for place in PLACES:
        for depth in ("*", "*/*"):
            for found in place.glob(f"{depth}/*/hashicorp/aws"):
                return found.parents[2]
    return None


MIRROR = mirror()
pytestmark = [
    pytest.mark.skipif(TERRAFORM is None, reason="Terraform is not installed"),
    pytest.mark.skipif(MIRROR is None, reason="there is no mirror of the provider on this machine"),
]

SETTINGS = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  s3_use_path_style           = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
"""
STACK = """
resource "aws_s3_bucket" "menu" {
  bucket        = "menu-ACCOUNT"
  force_destroy = true
  tags          = { team = "bar" }
}
resource "aws_s3_bucket_versioning" "menu" {
  bucket = aws_s3_bucket.menu.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_public_access_block" "menu" {
  bucket                  = aws_s3_bucket.menu.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
resource "aws_s3_bucket_ownership_controls" "menu" {
  bucket = aws_s3_bucket.menu.id
  rule { object_ownership = "BucketOwnerEnforced" }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "menu" {
  bucket = aws_s3_bucket.menu.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}
resource "aws_s3_object" "tea" {
  bucket  = aws_s3_bucket.menu.id
  key     = "tea"
  content = "hot"
  tags    = { kind = "drink" }
}
data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.menu.arn}/*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.barista.arn]
    }
  }
}
resource "aws_s3_bucket_policy" "menu" {
  bucket = aws_s3_bucket.menu.id
  policy = data.aws_iam_policy_document.read.json
}
resource "aws_dynamodb_table" "orders" {
  name         = "orders"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  range_key    = "at"
  attribute {
    name = "id"
    type = "S"
  }
  attribute {
    name = "at"
    type = "N"
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
  ttl {
    attribute_name = "expires"
    enabled        = true
  }
  tags = { team = "bar" }
}
resource "aws_dynamodb_table" "till" {
  name           = "till"
  billing_mode   = "PROVISIONED"
  read_capacity  = 2
  write_capacity = 1
  hash_key       = "id"
  attribute {
    name = "id"
    type = "B"
  }
}
resource "aws_iam_user" "barista" {
  name = "barista"
  path = "/bar/"
  tags = { team = "bar" }
}
resource "aws_iam_access_key" "barista" { user = aws_iam_user.barista.name }
resource "aws_iam_policy" "brew" {
  name   = "brew"
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["sqs:ReceiveMessage"], Resource = "*" }
  ] })
}
resource "aws_iam_user_policy_attachment" "barista" {
  user       = aws_iam_user.barista.name
  policy_arn = aws_iam_policy.brew.arn
}
resource "aws_iam_role" "machine" {
  name = "machine"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }
  ] })
}
resource "aws_iam_role_policy" "machine" {
  role   = aws_iam_role.machine.id
  policy = aws_iam_policy.brew.policy
}
resource "aws_iam_role_policy_attachment" "machine" {
  role       = aws_iam_role.machine.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
resource "aws_iam_instance_profile" "machine" {
  name = "machine"
  role = aws_iam_role.machine.name
}
resource "aws_iam_group" "bar" { name = "bar" }
resource "aws_iam_group_policy_attachment" "bar" {
  group      = aws_iam_group.bar.name
  policy_arn = aws_iam_policy.brew.arn
}
resource "aws_iam_group_membership" "bar" {
  name  = "bar"
  group = aws_iam_group.bar.name
  users = [aws_iam_user.barista.name]
}
"""
# Terraform's provider waits 25 s by itself for each queue's attributes to spread.
QUEUES = """
resource "aws_sqs_queue" "dead" { name = "dead" }
resource "aws_sqs_queue" "orders" {
  name                       = "orders"
  visibility_timeout_seconds = 45
  message_retention_seconds  = 86400
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 3 })
  tags           = { team = "bar" }
}
resource "aws_sqs_queue" "fifo" {
  name                        = "orders.fifo"
  fifo_queue                  = true
  content_based_deduplication = true
}
resource "aws_sqs_queue_policy" "orders" {
  queue_url = aws_sqs_queue.orders.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Principal = { AWS = aws_iam_user.barista.arn }, Action = "sqs:SendMessage",
    Resource = aws_sqs_queue.orders.arn
  }] })
}
"""


NEWS = """
resource "aws_kms_key" "recipes" {
  description             = "recipes"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  tags                    = { team = "bar" }
}
resource "aws_kms_alias" "recipes" {
  name          = "alias/recipes"
  target_key_id = aws_kms_key.recipes.key_id
}
resource "aws_s3_bucket" "recipes" {
  bucket              = "recipes-ACCOUNT"
  object_lock_enabled = true
}
resource "aws_s3_bucket_server_side_encryption_configuration" "recipes" {
  bucket = aws_s3_bucket.recipes.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.recipes.arn
    }
  }
}
resource "aws_s3_bucket_object_lock_configuration" "recipes" {
  bucket = aws_s3_bucket.recipes.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = 3
    }
  }
}
resource "aws_s3_bucket_lifecycle_configuration" "recipes" {
  bucket = aws_s3_bucket.recipes.id
  rule {
    id     = "old"
    status = "Enabled"
    filter { prefix = "old/" }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    expiration { days = 365 }
    noncurrent_version_expiration { noncurrent_days = 10 }
    abort_incomplete_multipart_upload { days_after_initiation = 2 }
  }
}
resource "aws_sns_topic" "news" {
  name         = "news"
  display_name = "The shop"
  tags         = { team = "bar" }
}
data "aws_iam_policy_document" "news" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.news.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
  }
}
resource "aws_sns_topic_policy" "news" {
  arn    = aws_sns_topic.news.arn
  policy = data.aws_iam_policy_document.news.json
}
resource "aws_sns_topic_subscription" "news" {
  topic_arn            = aws_sns_topic.news.arn
  protocol             = "sqs"
  endpoint             = "arn:aws:sqs:us-east-1:ACCOUNT:news"
  raw_message_delivery = true
  filter_policy        = jsonencode({ kind = ["espresso"] })
}
resource "aws_s3_bucket_notification" "recipes" {
  bucket     = aws_s3_bucket.recipes.id
  depends_on = [aws_sns_topic_policy.news]
  topic {
    topic_arn     = aws_sns_topic.news.arn
    events        = ["s3:ObjectCreated:*"]
    filter_suffix = ".txt"
  }
}
"""

WATCH = """
resource "aws_cloudwatch_log_group" "orders" {
  name              = "/shop/orders"
  retention_in_days = 14
  tags              = { team = "bar" }
}
resource "aws_cloudwatch_log_stream" "orders" {
  name           = "till"
  log_group_name = aws_cloudwatch_log_group.orders.name
}
resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "errors"
  pattern        = "{ $.level = \\"error\\" }"
  log_group_name = aws_cloudwatch_log_group.orders.name
  metric_transformation {
    name          = "Errors"
    namespace     = "Shop"
    value         = "1"
    default_value = "0"
  }
}
resource "aws_cloudwatch_log_resource_policy" "bus" {
  policy_name = "bus"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.orders.arn}:*"
    }]
  })
}
resource "aws_sns_topic" "bell" {
  name = "bell"
}
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "errors"
  namespace           = "Shop"
  metric_name         = "Errors"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 5
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.bell.arn]
  tags                = { team = "bar" }
}
resource "aws_cloudwatch_metric_alarm" "share" {
  alarm_name          = "share"
  evaluation_periods  = 1
  threshold           = 10
  comparison_operator = "GreaterThanOrEqualToThreshold"
  metric_query {
    id          = "e1"
    expression  = "100 * m1 / m2"
    label       = "Share"
    return_data = true
  }
  metric_query {
    id = "m1"
    metric {
      namespace   = "Shop"
      metric_name = "Errors"
      period      = 60
      stat        = "Sum"
    }
  }
  metric_query {
    id = "m2"
    metric {
      namespace   = "Shop"
      metric_name = "Orders"
      period      = 60
      stat        = "Sum"
    }
  }
}
resource "aws_cloudwatch_composite_alarm" "both" {
  alarm_name = "both"
  alarm_rule = "ALARM(${aws_cloudwatch_metric_alarm.errors.alarm_name}) AND ALARM(${aws_cloudwatch_metric_alarm.share.alarm_name})"
}
resource "aws_cloudwatch_dashboard" "shop" {
  dashboard_name = "shop"
  dashboard_body = jsonencode({
    widgets = [{
      type = "metric", x = 0, y = 0, width = 12, height = 6
      properties = { metrics = [["Shop", "Errors"]], period = 60, region = "us-east-1" }
    }]
  })
}
"""


SLOW_STACKS = {
    "events": EVENTS,
    "courier": COURIER,
    "credentials": CREDENTIALS,
    "keys": KEYS,
    "news": NEWS,
    "s3": S3,
    "tables": TABLES,
    "dax": DAX,
    "lambda": FUNCTIONS,
    "replicas": REPLICAS,
    "watch": WATCH,
    "trust": TRUST,
    "whole": STACK + QUEUES,
}


@pytest.mark.parametrize(
    "stack",
    [
        pytest.param(STACK, id="small"),
        *(
            pytest.param(stack, id=name, marks=pytest.mark.slow)
            for name, stack in SLOW_STACKS.items()
        ),
    ],
)
def test_a_stack_is_applied_needs_nothing_more_and_is_destroyed(
    account: Account, tmp_path: Path, stack: str
) -> None:
    (tmp_path / "settings.tf").write_text(SETTINGS)
    (tmp_path / "stack.tf").write_text(stack.replace("ACCOUNT", account.number))
    (tmp_path / "code.zip").write_bytes(zipped())
    (tmp_path / "cli.tfrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\n'
    )
    environment = {
        **account.environment(),
        "TF_CLI_CONFIG_FILE": str(tmp_path / "cli.tfrc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }

    def terraform(*words: str, status: int = 0) -> str:
        assert TERRAFORM is not None
        done = subprocess.run(
            [TERRAFORM, *words, "-no-color"], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == status, done.stdout[-4_000:] + done.stderr[-4_000:]
        return done.stdout

    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false", "-parallelism=20")
    # Status 0: the plan is empty; 2 would be a plan with changes.
    terraform("plan", "-detailed-exitcode", "-input=false", "-parallelism=20")
    if stack.startswith(STACK):
        assert account.client("s3").get_object(Bucket=f"menu-{account.number}", Key="tea")
    terraform("destroy", "-auto-approve", "-input=false", "-parallelism=20")
    assert account.client("s3").list_buckets()["Buckets"] == []
    assert account.client("iam").list_users()["Users"] == []
    assert account.client("iam").list_roles()["Roles"] == []
    assert account.client("iam").list_saml_providers()["SAMLProviderList"] == []
    certificates = account.client("iam").list_server_certificates()
    assert certificates["ServerCertificateMetadataList"] == []
    assert account.client("dynamodb").list_tables()["TableNames"] == []
    assert "QueueUrls" not in account.client("sqs").list_queues()
    assert account.client("sns").list_topics()["Topics"] == []
    assert account.client("logs").describe_log_groups()["logGroups"] == []
    assert account.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert account.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    events = account.client("events")
    assert [one["Name"] for one in events.list_event_buses()["EventBuses"]] == ["default"]
    assert events.list_rules()["Rules"] == events.list_connections()["Connections"] == []
