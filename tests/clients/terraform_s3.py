"""Every `aws_s3_*` resource of Terraform's provider whose operations are here, in one stack.

Not the two of S3 Control (the account's public access block, access points): the provider asks for
them at `ACCOUNT.localhost`, which not every machine's resolver knows.
"""

from __future__ import annotations

BUCKETS = """
resource "aws_s3_bucket" "shop" {
  bucket        = "shop-ACCOUNT"
  force_destroy = true
}
resource "aws_s3_bucket_versioning" "shop" {
  bucket = aws_s3_bucket.shop.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_ownership_controls" "shop" {
  bucket = aws_s3_bucket.shop.id
  rule { object_ownership = "BucketOwnerPreferred" }
}
resource "aws_s3_bucket_public_access_block" "shop" {
  bucket                  = aws_s3_bucket.shop.id
  block_public_acls       = false
  block_public_policy     = false
  ignore_public_acls      = false
  restrict_public_buckets = false
}
resource "aws_s3_bucket_acl" "shop" {
  bucket     = aws_s3_bucket.shop.id
  acl        = "public-read"
  depends_on = [aws_s3_bucket_ownership_controls.shop, aws_s3_bucket_public_access_block.shop]
}
resource "aws_s3_bucket_cors_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  cors_rule {
    id              = "site"
    allowed_headers = ["*"]
    allowed_methods = ["PUT", "POST"]
    allowed_origins = ["https://shop.example"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3000
  }
  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = ["*"]
  }
}
resource "aws_s3_bucket_website_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  index_document { suffix = "index.html" }
  error_document { key = "error.html" }
  routing_rule {
    condition { key_prefix_equals = "docs/" }
    redirect { replace_key_prefix_with = "documents/" }
  }
}
resource "aws_s3_bucket_lifecycle_configuration" "shop" {
  bucket                                 = aws_s3_bucket.shop.id
  depends_on                             = [aws_s3_bucket_versioning.shop]
  transition_default_minimum_object_size = "varies_by_storage_class"
  rule {
    id     = "logs"
    status = "Enabled"
    filter {
      and {
        prefix                   = "logs/"
        tags                     = { kind = "old", level = "debug" }
        object_size_greater_than = 500
        object_size_less_than    = 64000
      }
    }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    transition {
      days          = 60
      storage_class = "GLACIER"
    }
    expiration { days = 90 }
  }
  rule {
    id     = "versions"
    status = "Disabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days           = 90
      newer_noncurrent_versions = 3
    }
    noncurrent_version_transition {
      noncurrent_days = 30
      storage_class   = "ONEZONE_IA"
    }
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
  }
  rule {
    id     = "markers"
    status = "Enabled"
    filter {
      tag {
        key   = "kind"
        value = "marker"
      }
    }
    expiration { date = "2030-01-01T00:00:00Z" }
  }
}
resource "aws_s3_bucket_accelerate_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  status = "Enabled"
}
resource "aws_s3_bucket_request_payment_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  payer  = "Requester"
}
resource "aws_s3_bucket_analytics_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  name   = "everything"
  filter {
    prefix = "documents/"
    tags   = { priority = "high", class = "blue" }
  }
  storage_class_analysis {
    data_export {
      destination {
        s3_bucket_destination { bucket_arn = aws_s3_bucket.shop.arn }
      }
    }
  }
}
resource "aws_s3_bucket_metric" "shop" {
  bucket = aws_s3_bucket.shop.id
  name   = "documents"
  filter {
    prefix = "documents/"
    tags   = { priority = "high" }
  }
}
resource "aws_s3_bucket_intelligent_tiering_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  name   = "everything"
  tiering {
    access_tier = "DEEP_ARCHIVE_ACCESS"
    days        = 180
  }
  tiering {
    access_tier = "ARCHIVE_ACCESS"
    days        = 125
  }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "shop" {
  bucket = aws_s3_bucket.shop.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    bucket_key_enabled = true
  }
}
data "aws_iam_policy_document" "shop" {
  statement {
    sid       = "Public"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.shop.arn}/public/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}
resource "aws_s3_bucket_policy" "shop" {
  bucket     = aws_s3_bucket.shop.id
  policy     = data.aws_iam_policy_document.shop.json
  depends_on = [aws_s3_bucket_public_access_block.shop]
}
resource "aws_s3_object" "page" {
  bucket                 = aws_s3_bucket.shop.id
  key                    = "public/index.html"
  content                = "<html>tea</html>"
  content_type           = "text/html"
  content_language       = "en"
  cache_control          = "max-age=60"
  acl                    = "public-read"
  storage_class          = "STANDARD_IA"
  server_side_encryption = "AES256"
  metadata               = { owner = "bar" }
  tags                   = { kind = "page" }
  checksum_algorithm     = "SHA256"
  depends_on             = [aws_s3_bucket_acl.shop, aws_s3_bucket_versioning.shop]
}
resource "aws_s3_object_copy" "page" {
  bucket     = aws_s3_bucket.shop.id
  key        = "public/copy.html"
  source     = "${aws_s3_bucket.shop.bucket}/${aws_s3_object.page.key}"
  tags       = { kind = "copy" }
  tagging_directive = "REPLACE"
}
data "aws_s3_object" "page" {
  bucket     = aws_s3_bucket.shop.id
  key        = aws_s3_object.page.key
}
data "aws_s3_objects" "public" {
  bucket     = aws_s3_bucket.shop.id
  prefix     = "public/"
  depends_on = [aws_s3_object_copy.page]
}
data "aws_s3_bucket" "shop" { bucket = aws_s3_bucket.shop.id }
data "aws_canonical_user_id" "me" {}
output "keys" { value = data.aws_s3_objects.public.keys }
output "type" { value = data.aws_s3_object.page.content_type }
"""
OTHERS = """
resource "aws_s3_bucket" "logs" {
  bucket        = "logs-ACCOUNT"
  force_destroy = true
}
data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/*"]
    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com", "s3.amazonaws.com"]
    }
  }
}
resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json
}
resource "aws_s3_bucket_logging" "shop" {
  bucket        = aws_s3_bucket.shop.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "access/"
  target_object_key_format {
    partitioned_prefix { partition_date_source = "EventTime" }
  }
  depends_on = [aws_s3_bucket_policy.logs]
}
resource "aws_s3_bucket_inventory" "shop" {
  bucket                   = aws_s3_bucket.shop.id
  name                     = "weekly"
  included_object_versions = "All"
  optional_fields          = ["Size", "ETag", "StorageClass", "ReplicationStatus"]
  schedule { frequency = "Weekly" }
  filter { prefix = "documents/" }
  destination {
    bucket {
      format     = "CSV"
      bucket_arn = aws_s3_bucket.logs.arn
      prefix     = "inventory"
    }
  }
}
resource "aws_sqs_queue" "news" {
  name   = "shop-news"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow", Principal = { Service = "s3.amazonaws.com" }, Action = "sqs:SendMessage",
    Resource  = "arn:aws:sqs:us-east-1:ACCOUNT:shop-news"
    Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:s3:::shop-ACCOUNT" } }
  }] })
}
resource "aws_s3_bucket_notification" "shop" {
  bucket      = aws_s3_bucket.shop.id
  eventbridge = true
  queue {
    id            = "pages"
    queue_arn     = aws_sqs_queue.news.arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"]
    filter_prefix = "public/"
    filter_suffix = ".html"
  }
}
resource "aws_s3_bucket" "vault" {
  bucket              = "vault-ACCOUNT"
  object_lock_enabled = true
  force_destroy       = true
}
resource "aws_s3_bucket_versioning" "vault" {
  bucket = aws_s3_bucket.vault.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_object_lock_configuration" "vault" {
  bucket = aws_s3_bucket.vault.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = 5
    }
  }
}
resource "aws_s3_object" "locked" {
  bucket                        = aws_s3_bucket.vault.id
  key                           = "deed"
  content                       = "kept"
  force_destroy                 = true
  object_lock_legal_hold_status = "ON"
  object_lock_mode              = "GOVERNANCE"
  object_lock_retain_until_date = "2031-01-01T00:00:00Z"
  depends_on                    = [aws_s3_bucket_object_lock_configuration.vault]
}
resource "aws_iam_role" "replicas" {
  name = "replicas-ACCOUNT"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "s3.amazonaws.com" } }
  ] })
}
resource "aws_s3_bucket_replication_configuration" "shop" {
  bucket     = aws_s3_bucket.shop.id
  role       = aws_iam_role.replicas.arn
  depends_on = [aws_s3_bucket_versioning.shop, aws_s3_bucket_versioning.vault]
  rule {
    id       = "documents"
    priority = 3
    status   = "Enabled"
    filter { prefix = "documents/" }
    delete_marker_replication { status = "Enabled" }
    destination {
      bucket        = aws_s3_bucket.vault.arn
      storage_class = "STANDARD_IA"
    }
  }
}
"""
S3 = BUCKETS + OTHERS
