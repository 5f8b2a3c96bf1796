"""Parameter Store's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class HierarchyLevelLimitExceeded(AwsError):
    code = "HierarchyLevelLimitExceededException"
    text = "A hierarchy can have a maximum of 15 levels."


class HierarchyTypeMismatch(AwsError):
    code = "HierarchyTypeMismatchException"
    text = (
        "Parameter Store doesn't support changing a parameter type in a hierarchy. You must create "
        "a new, unique parameter."
    )


class InvalidAllowedPattern(AwsError):
    code = "InvalidAllowedPatternException"


class InvalidFilterKey(AwsError):
    code = "InvalidFilterKey"


class InvalidFilterOption(AwsError):
    code = "InvalidFilterOption"


class InvalidFilterValue(AwsError):
    code = "InvalidFilterValue"


class InvalidKeyId(AwsError):
    code = "InvalidKeyId"


class InvalidNextToken(AwsError):
    code = "InvalidNextToken"
    text = "The specified token isn't valid."


class InvalidPolicyAttribute(AwsError):
    code = "InvalidPolicyAttributeException"


class InvalidPolicyType(AwsError):
    code = "InvalidPolicyTypeException"


class MalformedResourcePolicyDocument(AwsError):
    code = "MalformedResourcePolicyDocumentException"


class PoliciesLimitExceeded(AwsError):
    code = "PoliciesLimitExceededException"
    text = (
        "You specified more than the maximum number of allowed policies for the parameter. The "
        "maximum is 10."
    )


class InvalidResourceId(AwsError):
    code = "InvalidResourceId"


class ParameterAlreadyExists(AwsError):
    code = "ParameterAlreadyExists"
    text = (
        "The parameter already exists. To overwrite this value, set the overwrite option in the "
        "request to true."
    )


class ParameterMaxVersionLimitExceeded(AwsError):
    code = "ParameterMaxVersionLimitExceeded"


class ParameterNotFound(AwsError):
    code = "ParameterNotFound"


class ParameterPatternMismatch(AwsError):
    code = "ParameterPatternMismatchException"


class ParameterVersionLabelLimitExceeded(AwsError):
    code = "ParameterVersionLabelLimitExceeded"
    text = (
        "A parameter version can have maximum 10 labels.Move one or more labels to another version "
        "and try again."
    )


class ParameterVersionNotFound(AwsError):
    code = "ParameterVersionNotFound"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"


class ResourcePolicyConflict(AwsError):
    code = "ResourcePolicyConflictException"
    text = "The hash provided in the call doesn't match the stored hash."


class ResourcePolicyInvalidParameter(AwsError):
    code = "ResourcePolicyInvalidParameterException"


class ResourcePolicyLimitExceeded(AwsError):
    code = "ResourcePolicyLimitExceededException"


class ResourcePolicyNotFound(AwsError):
    code = "ResourcePolicyNotFoundException"
    text = "No policies with the specified policy ID and hash could be found."


class ServiceSettingNotFound(AwsError):
    code = "ServiceSettingNotFound"


class TooManyTags(AwsError):
    code = "TooManyTagsError"


class Validation(AwsError):
    code = "ValidationException"
