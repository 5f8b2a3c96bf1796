"""The protocol cases that cannot hold for a server, each with the reason.

A case that begins to hold makes its test fail, so that it is taken out here.
"""

from __future__ import annotations


def _because(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {case: reason for reason, names in table.items() for case in names}


INPUT_EXCEPTIONS = _because(
    {
        "the compressed body is not in the case": (
            "ec2:SDKAppliedContentEncoding_ec2Query",
            "ec2:SDKAppendsGzipAndIgnoresHttpProvidedEncoding_ec2Query",
            "json:SDKAppliedContentEncoding_awsJson1_1",
            "json:SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1",
            "json_1_0:SDKAppliedContentEncoding_awsJson1_0",
            "json_1_0:SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0",
            "query:SDKAppliedContentEncoding_awsQuery",
            "query:SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery",
            "rest-json:SDKAppliedContentEncoding_restJson1",
            "rest-json:SDKAppendedGzipAfterProvidedEncoding_restJson1",
            "rest-xml:SDKAppliedContentEncoding_restXml",
            "rest-xml:SDKAppendedGzipAfterProvidedEncoding_restXml",
        ),
        "the SDK makes the token; the parameters of the case do not have it": (
            "ec2:Ec2ProtocolIdempotencyTokenAutoFill",
            "query:QueryProtocolIdempotencyTokenAutoFill",
            "rest-json:RestJsonQueryIdempotencyTokenAutoFill",
            "rest-xml:QueryIdempotencyTokenAutoFill",
        ),
        "an empty list or map leaves no trace in a request": (
            "ec2:Ec2EmptyQueryLists",
            "query:QueryEmptyQueryMaps",
        ),
        "the client's endpoint has a path of its own, which is not part of the operation's": (
            "rest-json:RestJsonHostWithPath",
        ),
        "an empty map leaves no trace in a request": (
            "rest-json:RestJsonHttpPrefixHeadersAreNotPresent",
            "rest-xml:HttpPrefixHeadersAreNotPresent",
        ),
        "botocore takes and gives the parsed document, and so do we": (
            "rest-json:MediaTypeHeaderInputBase64",
        ),
        "empty headers leave no trace in a request": (
            "rest-json:RestJsonNullAndEmptyHeaders",
            "rest-xml:NullAndEmptyHeaders",
        ),
        "empty lists leave no trace in a request": ("rest-json:RestJsonOmitsEmptyListQueryValues",),
        "the case has bound parameters in the map too; API Gateway's holds only the others": (
            "rest-json:RestJsonAllQueryStringTypes",
            "rest-json:RestJsonQueryStringEscaping",
            "rest-json:RestJsonSupportsNaNFloatQueryValues",
            "rest-json:RestJsonSupportsInfinityFloatQueryValues",
            "rest-json:RestJsonSupportsNegativeInfinityFloatQueryValues",
            "rest-json:RestJsonZeroAndFalseQueryValues",
            "rest-json:RestJsonQueryPrecedence",
            "rest-xml:RestXmlQueryPrecedence",
        ),
        "an empty structure and none are the same request": (
            "rest-json:RestJsonHttpWithEmptyStructurePayload",
            "rest-json:RestJsonHttpWithHeadersButNoPayload",
        ),
    }
)

OUTPUT_EXCEPTIONS = _because(
    {
        "botocore and Smithy disagree on the names in flat lists of renamed members": (
            "ec2:Ec2XmlLists",
            "query:QueryXmlLists",
            "rest-xml:XmlLists",
        ),
        "botocore refuses an empty union, as its own list of exceptions says": (
            "rest-json:RestJsonHttpPayloadWithUnsetUnion",
            "rest-xml:RestXmlHttpPayloadWithUnsetUnion",
        ),
        "an empty prefix also collects our request id": ("rest-json:HttpPrefixHeadersResponse",),
        "botocore splits such lists at every comma": (
            "rest-json:RestJsonInputAndOutputWithQuotedStringHeaders",
            "rest-json:RestJsonInputAndOutputWithTimestampHeaders",
            "rest-xml:InputAndOutputWithTimestampHeaders",
        ),
    }
)

DOCUMENT_EXCEPTIONS = _because(
    {
        "AWS writes UTC; the case shows that clients read offsets": (
            "ec2:Ec2QueryDateTimeWithNegativeOffset",
            "ec2:Ec2QueryDateTimeWithPositiveOffset",
            "json:AwsJson11DateTimeWithNegativeOffset",
            "json:AwsJson11DateTimeWithPositiveOffset",
            "query:AwsQueryDateTimeWithNegativeOffset",
            "query:AwsQueryDateTimeWithPositiveOffset",
            "rest-json:RestJsonDateTimeWithNegativeOffset",
            "rest-json:RestJsonDateTimeWithPositiveOffset",
            "rest-xml:RestXmlDateTimeWithNegativeOffset",
            "rest-xml:RestXmlDateTimeWithPositiveOffset",
        ),
        "botocore and Smithy disagree on the names in flat lists of renamed members": (
            "ec2:Ec2XmlLists",
        ),
        "EC2 writes milliseconds always": ("ec2:Ec2XmlTimestamps",),
        "the case shows what clients tolerate; no server writes that": (
            "json:handles_unexpected_json_output",
            "json:AwsJson11DeserializeIgnoreType",
            "json:AwsJson11StructuresDontDeserializeNullValues",
            "json_1_0:AwsJson10DeserializeIgnoreType",
            "json_1_0:AwsJson10DeserializeAllowNulls",
            "json_1_0:AwsJson10HandlesUnexpectedJsonOutput",
            "json_1_0:AwsJson10ServiceRespondsWithNoPayload",
            "rest-json:RestJsonGreetingWithErrorsNoPayload",
            "rest-json:RestJsonHttpResponseCodeWithNoPayload",
            "rest-json:RestJsonIgnoreQueryParamsInResponseNoPayload",
            "rest-json:RestJsonDeserializesDenseSetMapAndSkipsNull",
            "rest-json:RestJsonDeserializeIgnoreType",
            "rest-json:RestJsonNoInputAndOutputNoPayload",
            "rest-json:RestJsonDoesntDeserializeNullStructureValues",
            "rest-xml:SimpleScalarPropertiesWithXMLPreamble",
            "smithy-rpc-v2-cbor:NoOutputClientAllowsEmptyCbor",
            "smithy-rpc-v2-cbor:RpcV2CborDeserializesDenseSetMapAndSkipsNull",
            "smithy-rpc-v2-cbor:RpcV2CborClientDoesntDeserializeNullStructureValues",
            "smithy-rpc-v2-cbor:RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByClients",
            "json:handles_empty_output_shape",
            "rest-json:RestJsonEmptyInputAndEmptyOutputJsonObjectOutput",
            "smithy-rpc-v2-cbor:empty_output_no_body",
        ),
        "the header is a fixture of the case": (
            "json:AwsJson11IntEnums",
            "json:parses_the_request_id_from_the_response",
        ),
        "botocore refuses an empty union, as its own list of exceptions says": (
            "rest-json:RestJsonHttpPayloadWithUnsetUnion",
            "rest-xml:RestXmlHttpPayloadWithUnsetUnion",
            "smithy-rpc-v2-cbor:RpcV2CborPayloadWithUnsetUnion",
        ),
        "botocore takes and gives the parsed document, and so do we": (
            "rest-json:MediaTypeHeaderOutputBase64",
        ),
        "botocore gives a member the name of its structure, and its clients depend on it": (
            "rest-xml:BodyWithXmlName",
        ),
        "botocore's form of the case names the payload, which S3 relies on": (
            "rest-xml:RestXmlHttpPayloadWithUnion",
            "rest-xml:HttpPayloadWithXmlNamespace",
            "rest-xml:HttpPayloadWithXmlNamespaceAndPrefix",
        ),
    }
)
