"""KMS's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AlreadyExists(AwsError):
    code = "AlreadyExistsException"


class CloudHsmClusterNotFound(AwsError):
    code = "CloudHsmClusterNotFoundException"


class CustomKeyStoreHasKeys(AwsError):
    code = "CustomKeyStoreHasCMKsException"


class CustomKeyStoreInvalidState(AwsError):
    code = "CustomKeyStoreInvalidStateException"


class CustomKeyStoreNameInUse(AwsError):
    code = "CustomKeyStoreNameInUseException"


class CustomKeyStoreNotFound(AwsError):
    code = "CustomKeyStoreNotFoundException"


class Disabled(AwsError):
    code = "DisabledException"


class DryRunOperation(AwsError):
    code = "DryRunOperationException"
    text = "The request would have succeeded, but the DryRun option is set."


class ExpiredImportToken(AwsError):
    code = "ExpiredImportTokenException"


class IncorrectKey(AwsError):
    code = "IncorrectKeyException"
    text = "The key ID in the request does not identify a CMK that can perform this operation."


class IncorrectKeyMaterial(AwsError):
    code = "IncorrectKeyMaterialException"


class InvalidAliasName(AwsError):
    code = "InvalidAliasNameException"


class InvalidArn(AwsError):
    code = "InvalidArnException"


class InvalidCiphertext(AwsError):
    code = "InvalidCiphertextException"


class InvalidGrantId(AwsError):
    code = "InvalidGrantIdException"


class InvalidGrantToken(AwsError):
    code = "InvalidGrantTokenException"


class InvalidImportToken(AwsError):
    code = "InvalidImportTokenException"


class InvalidKeyUsage(AwsError):
    code = "InvalidKeyUsageException"


class InvalidMarker(AwsError):
    code = "InvalidMarkerException"
    text = "Could not deserialize marker"


class KmsInvalidMac(AwsError):
    code = "KMSInvalidMacException"


class KmsInvalidSignature(AwsError):
    code = "KMSInvalidSignatureException"


class KmsInvalidState(AwsError):
    code = "KMSInvalidStateException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"


class MalformedPolicyDocument(AwsError):
    code = "MalformedPolicyDocumentException"


class NotFound(AwsError):
    code = "NotFoundException"


class RotationConflict(AwsError):
    code = "ConflictException"
    text = (
        "The request was rejected because an automatic rotation of this key is currently in "
        "progress or scheduled to begin within the next 20 minutes."
    )


class TagProblem(AwsError):
    code = "TagException"


class UnsupportedOperation(AwsError):
    code = "UnsupportedOperationException"


class Validation(AwsError):
    code = "ValidationException"


class XksKeyAlreadyInUse(AwsError):
    code = "XksKeyAlreadyInUseException"


class XksKeyInvalidConfiguration(AwsError):
    code = "XksKeyInvalidConfigurationException"


class XksKeyNotFound(AwsError):
    code = "XksKeyNotFoundException"


class XksProxyIncorrectCredential(AwsError):
    code = "XksProxyIncorrectAuthenticationCredentialException"


class XksProxyInvalidConfiguration(AwsError):
    code = "XksProxyInvalidConfigurationException"


class XksProxyInvalidResponse(AwsError):
    code = "XksProxyInvalidResponseException"


class XksProxyUriInUse(AwsError):
    code = "XksProxyUriInUseException"


class XksProxyUriUnreachable(AwsError):
    code = "XksProxyUriUnreachableException"


class XksProxyVpcEndpointServiceNotFound(AwsError):
    code = "XksProxyVpcEndpointServiceNotFoundException"
