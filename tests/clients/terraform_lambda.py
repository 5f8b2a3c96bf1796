"""A stack of functions: their code, versions, aliases, permissions and what calls them."""

FUNCTIONS = """
resource "aws_iam_role" "runner" {
  name = "runner"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}
resource "aws_iam_role_policy" "runner" {
  role = aws_iam_role.runner.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["sqs:*", "sns:*", "logs:*"], Resource = "*" }]
  })
}
resource "aws_sqs_queue" "lost" { name = "lost" }
resource "aws_lambda_function" "brew" {
  function_name = "brew"
  filename      = "code.zip"
  source_code_hash = filebase64sha256("code.zip")
  role          = aws_iam_role.runner.arn
  handler       = "app.handler"
  runtime       = "python3.13"
  memory_size   = 256
  timeout       = 10
  publish       = true
  reserved_concurrent_executions = 5
  environment { variables = { BEANS = "dark" } }
  dead_letter_config { target_arn = aws_sqs_queue.lost.arn }
  logging_config {
    log_format = "JSON"
    application_log_level = "WARN"
    system_log_level = "WARN"
  }
  tags          = { team = "bar" }
  layers        = [aws_lambda_layer_version.beans.arn]
  depends_on    = [aws_iam_role_policy.runner]
}
resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.brew.function_name
  function_version = aws_lambda_function.brew.version
}
resource "aws_lambda_permission" "topic" {
  statement_id  = "topic"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.brew.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "sns.amazonaws.com"
  source_arn    = "arn:aws:sns:us-east-1:ACCOUNT:orders"
}
resource "aws_lambda_function_event_invoke_config" "brew" {
  function_name          = aws_lambda_function.brew.function_name
  maximum_retry_attempts = 1
  destination_config {
    on_failure { destination = aws_sqs_queue.lost.arn }
  }
}
resource "aws_lambda_layer_version" "beans" {
  layer_name          = "beans"
  filename            = "code.zip"
  source_code_hash    = filebase64sha256("code.zip")
  compatible_runtimes = ["python3.13"]
}
resource "aws_sqs_queue" "orders" { name = "orders" }
resource "aws_lambda_event_source_mapping" "orders" {
  event_source_arn        = aws_sqs_queue.orders.arn
  function_name           = aws_lambda_alias.live.arn
  batch_size              = 5
  function_response_types = ["ReportBatchItemFailures"]
  filter_criteria {
    filter { pattern = jsonencode({ body = { size = [{ exists = true }] } }) }
  }
}
resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.brew.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "AWS_IAM"
  cors { allow_origins = ["*"] }
}
"""
