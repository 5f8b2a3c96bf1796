"""A stack of what moves events for Terraform: schedules, pipes, and a global endpoint."""

from __future__ import annotations

COURIER = """
provider "aws" {
  alias                       = "west"
  region                      = "us-west-2"
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
resource "aws_cloudwatch_event_bus" "here" { name = "twin" }
resource "aws_cloudwatch_event_bus" "there" {
  provider = aws.west
  name     = "twin"
}
resource "aws_cloudwatch_event_endpoint" "twin" {
  name     = "twin"
  role_arn = aws_iam_role.mover.arn
  event_bus { event_bus_arn = aws_cloudwatch_event_bus.here.arn }
  event_bus { event_bus_arn = aws_cloudwatch_event_bus.there.arn }
  replication_config { state = "ENABLED" }
  routing_config {
    failover_config {
      primary { health_check = "arn:aws:route53:::healthcheck/a1b2" }
      secondary { route = "us-west-2" }
    }
  }
  depends_on = [aws_iam_role_policy.mover]
}
resource "aws_cloudwatch_event_permission" "in" {
  principal      = "111122223333"
  statement_id   = "in"
  event_bus_name = aws_cloudwatch_event_bus.here.name
}
resource "aws_iam_role" "mover" {
  name = "mover"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = [
      "events.amazonaws.com", "scheduler.amazonaws.com", "pipes.amazonaws.com"
    ] }
  }] })
}
resource "aws_iam_role_policy" "mover" {
  name = "own"
  role = aws_iam_role.mover.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Resource = "*",
    Action = ["events:*", "sqs:*", "dynamodb:*"]
  }] })
}
resource "aws_sqs_queue" "line" { name = "courier-line" }
resource "aws_scheduler_schedule_group" "shop" { name = "shop" }
resource "aws_scheduler_schedule" "opening" {
  name                         = "opening"
  group_name                   = aws_scheduler_schedule_group.shop.name
  schedule_expression          = "cron(0 7 ? * MON-FRI *)"
  schedule_expression_timezone = "Europe/Vienna"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }
  target {
    arn      = aws_sqs_queue.line.arn
    role_arn = aws_iam_role.mover.arn
    input    = jsonencode({ open = true })
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 3
    }
  }
}
resource "aws_dynamodb_table" "orders" {
  name             = "courier-orders"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_cloudwatch_log_group" "pipe" { name = "/aws/vendedlogs/pipes/orders" }
resource "aws_pipes_pipe" "orders" {
  name       = "orders"
  role_arn   = aws_iam_role.mover.arn
  source     = aws_dynamodb_table.orders.stream_arn
  target     = aws_sqs_queue.line.arn
  depends_on = [aws_iam_role_policy.mover]
  source_parameters {
    dynamodb_stream_parameters {
      starting_position             = "LATEST"
      batch_size                    = 5
      maximum_retry_attempts        = 3
      on_partial_batch_item_failure = "AUTOMATIC_BISECT"
    }
    filter_criteria {
      filter { pattern = jsonencode({ eventName = ["INSERT"] }) }
    }
  }
  target_parameters { input_template = "{\\"id\\": <$.dynamodb.Keys.id.S>}" }
  log_configuration {
    level                  = "ERROR"
    include_execution_data = ["ALL"]
    cloudwatch_logs_log_destination { log_group_arn = aws_cloudwatch_log_group.pipe.arn }
  }
}
"""
