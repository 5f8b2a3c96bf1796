"""A stack of EventBridge for Terraform."""

from __future__ import annotations

EVENTS = """
resource "aws_cloudwatch_event_bus" "shop" {
  name        = "shop"
  description = "what happens in the shop"
  tags        = { team = "bar" }
}
resource "aws_cloudwatch_event_bus_policy" "shop" {
  event_bus_name = aws_cloudwatch_event_bus.shop.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid = "in", Effect = "Allow", Principal = { AWS = "arn:aws:iam::111122223333:root" },
    Action = "events:PutEvents", Resource = aws_cloudwatch_event_bus.shop.arn
  }] })
}
resource "aws_sns_topic" "news" { name = "events-news" }
resource "aws_cloudwatch_event_rule" "sold" {
  name           = "sold"
  event_bus_name = aws_cloudwatch_event_bus.shop.name
  event_pattern  = jsonencode({ source = ["shop"], detail = { tea = [{ numeric = [">", 1] }] } })
  tags           = { team = "bar" }
}
resource "aws_cloudwatch_event_target" "news" {
  rule           = aws_cloudwatch_event_rule.sold.name
  event_bus_name = aws_cloudwatch_event_bus.shop.name
  target_id      = "news"
  arn            = aws_sns_topic.news.arn
  input_transformer {
    input_paths    = { tea = "$.detail.tea" }
    input_template = "\\"<tea> sold\\""
  }
  retry_policy {
    maximum_event_age_in_seconds = 600
    maximum_retry_attempts       = 3
  }
}
resource "aws_cloudwatch_event_rule" "closing" {
  name                = "closing"
  schedule_expression = "cron(0 18 ? * MON-FRI *)"
}
resource "aws_cloudwatch_event_target" "closing" {
  rule     = aws_cloudwatch_event_rule.closing.name
  arn      = aws_cloudwatch_event_api_destination.till.arn
  role_arn = aws_iam_role.caller.arn
  input    = jsonencode({ close = true })
}
resource "aws_iam_role" "caller" {
  name = "events-caller"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "events.amazonaws.com" } }
  ] })
}
resource "aws_cloudwatch_event_archive" "sold" {
  name             = "sold"
  event_source_arn = aws_cloudwatch_event_bus.shop.arn
  event_pattern    = jsonencode({ source = ["shop"] })
  retention_days   = 7
}
resource "aws_cloudwatch_event_connection" "till" {
  name               = "till"
  authorization_type = "API_KEY"
  auth_parameters {
    api_key {
      key   = "x-key"
      value = "s3cret"
    }
    invocation_http_parameters {
      header {
        key             = "x-shop"
        value           = "1"
        is_value_secret = false
      }
    }
  }
}
resource "aws_cloudwatch_event_api_destination" "till" {
  name                             = "till"
  invocation_endpoint              = "https://till.example.test/close"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 20
  connection_arn                   = aws_cloudwatch_event_connection.till.arn
}
"""
