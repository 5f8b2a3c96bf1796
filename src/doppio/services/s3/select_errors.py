"""What S3 Select refuses, with the codes of its own that AWS lists for it."""

from __future__ import annotations

from doppio.wire.errors import AwsError

_TEXTS = {
    "Busy": "The service is unavailable. Try again later.",
    "CastFailed": (
        "Attempt to convert from one data type to another using CAST failed in the SQL expression."
    ),
    "CSVParsingError": "Encountered an error parsing the CSV file. Check the file and try again.",
    "EvaluatorInvalidArguments": (
        "Incorrect number of arguments in the function call in the SQL expression."
    ),
    "EvaluatorTimestampFormatPatternTooLong": "The timestamp format pattern is too long.",
    "ExpressionTooLong": (
        "The SQL expression is too long. The maximum byte-length for an SQL expression is 256 KB."
    ),
    "IntegerOverflow": "Int overflow or underflow in the SQL expression.",
    "InvalidColumnIndex": (
        "The column index in the SQL expression is not valid. Check the service documentation and "
        "try again."
    ),
    "InvalidCompressionFormat": (
        "The file is not in a supported compression format. Only GZIP and BZIP2 are supported."
    ),
    "InvalidDataSource": ("Invalid data source type. Only CSV, JSON, and Parquet are supported."),
    "InvalidDataType": "The SQL expression contains a data type that is not valid.",
    "InvalidExpressionType": "The ExpressionType is not valid. Only SQL expressions are supported.",
    "InvalidRequestParameter": (
        "The value of a parameter in the SelectRequest element is not valid. Check the service "
        "API documentation and try again."
    ),
    "InvalidScanRange": "The scan range is not valid.",
    "InvalidTableAlias": "The SQL expression contains a table alias that is not valid.",
    "InvalidTextEncoding": "The encoding type is not valid. Only UTF-8 encoding is supported.",
    "JSONParsingError": "Encountered an error parsing the JSON file. Check the file and try again.",
    "LexerInvalidChar": "The SQL expression contains a character that is not valid.",
    "LexerInvalidLiteral": "The SQL expression contains a literal that is not valid.",
    "LexerInvalidOperator": "The SQL expression contains an operator that is not valid.",
    "LikeInvalidInputs": "Invalid argument given to the LIKE clause in the SQL expression.",
    "MissingHeaders": (
        "Some headers in the query are missing from the file. Check the file and try again."
    ),
    "MissingRequiredParameter": (
        "The SelectRequest entity is missing a required parameter. Check the service "
        "documentation and try again."
    ),
    "ObjectSerializationConflict": (
        "The SelectRequest entity can only contain one of CSV or JSON. Check the service "
        "documentation and try again."
    ),
    "OverMaxRecordSize": (
        "The length of a record in the input or result is greater than maxCharsPerRecord of 1 MB."
    ),
    "ParquetParsingError": ("Error parsing Parquet file. Please check the file and try again."),
    "ParseExpectedExpression": "Did not find the expected SQL expression.",
    "ParseExpectedIdentForAlias": "Did not find the expected identifier for the alias.",
    "ParseExpectedKeyword": "Did not find the expected keyword in the SQL expression.",
    "ParseExpectedLeftParenAfterCast": "Did not find expected the left parenthesis after CAST.",
    "ParseExpectedTypeName": "Did not find the expected type name in the SQL expression.",
    "ParseSelectMissingFrom": "The SQL expression contains a missing FROM after the SELECT list.",
    "ParseUnexpectedToken": "The SQL expression contains an unexpected token.",
    "TruncatedInput": "Object decompression failed. Check that the object is properly compressed.",
    "UnsupportedFunction": "Encountered an unsupported SQL function.",
    "UnsupportedScanRangeInput": "Scan range queries are not supported on this type of object.",
    "UnsupportedSqlOperation": "Encountered an unsupported SQL operation.",
    "UnsupportedSqlStructure": (
        "Encountered an unsupported SQL structure. Check the SQL Reference."
    ),
    "UnsupportedStorageClass": "Encountered an invalid storage class. Only STANDARD, STANDARD_IA, "
    "ONEZONE_IA, and INTELLIGENT_TIERING storage classes are supported.",
    "UnsupportedSyntax": "Encountered syntax that is not valid.",
    "ValueParseFailure": "Timestamp parse failure in the SQL expression.",
}


class SelectRefused(AwsError):
    """A query that cannot be answered; `code` says why, in S3 Select's own list."""

    def __init__(self, code: str, text: str | None = None) -> None:
        super().__init__(text or _TEXTS[code])
        self.code = code  # type: ignore[misc]
        self.status = 503 if code == "Busy" else 400  # type: ignore[misc]
