"""IAM's errors."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class NoSuchEntity(AwsError):
    """Something that is not there, or not attached."""

    code = "NoSuchEntity"
    status = 404


class EntityAlreadyExists(AwsError):
    """A name that is taken."""

    code = "EntityAlreadyExists"
    status = 409


class DeleteConflict(AwsError):
    """Something that still has parts."""

    code = "DeleteConflict"
    status = 409


class LimitExceeded(AwsError):
    """One more than AWS allows."""

    code = "LimitExceeded"
    status = 409


class ConcurrentModification(AwsError):
    """Something that is no longer as the request takes it to be."""

    code = "ConcurrentModification"
    status = 409


class MalformedPolicyDocument(AwsError):
    """A document that is no policy."""

    code = "MalformedPolicyDocument"
    status = 400


class InvalidInput(AwsError):
    """A value that cannot be."""

    code = "InvalidInput"
    status = 400


class ValidationError(AwsError):
    """A parameter out of its range."""

    code = "ValidationError"
    status = 400


class UnmodifiableEntity(AwsError):
    """Something of AWS's own."""

    code = "UnmodifiableEntity"
    status = 400


class PolicyNotAttachable(AwsError):
    """A policy that belongs to a service's own role."""

    code = "PolicyNotAttachable"
    status = 400


class InvalidClientTokenId(AwsError):
    """An access key or session token that we did not give."""

    code = "InvalidClientTokenId"
    status = 403
    text = "The security token included in the request is invalid."


class ExpiredToken(AwsError):
    """A session that is over."""

    code = "ExpiredToken"
    status = 403
    text = "The security token included in the request is expired"


class InvalidAuthenticationCode(AwsError):
    """MFA codes that are not the device's."""

    code = "InvalidAuthenticationCode"
    status = 403


class InvalidPublicKey(AwsError):
    """What is no SSH public key."""

    code = "InvalidPublicKey"
    status = 400


class DuplicateSSHPublicKey(AwsError):
    """An SSH key that the user has already."""

    code = "DuplicateSSHPublicKey"
    status = 400


class MalformedCertificate(AwsError):
    """What is no certificate."""

    code = "MalformedCertificate"
    status = 400


class KeyPairMismatch(AwsError):
    """A private key that is another certificate's."""

    code = "KeyPairMismatch"
    status = 400
    text = "The private key does not match the certificate."


class DuplicateCertificate(AwsError):
    """A certificate that the user has already."""

    code = "DuplicateCertificate"
    status = 409


class CredentialReportNotPresent(AwsError):
    """A report that nobody has asked for."""

    code = "ReportNotPresent"
    status = 410
    text = "No report exists. Please generate a credential report first."


class CredentialReportNotReady(AwsError):
    """A report that is being made."""

    code = "ReportInProgress"
    status = 404
    text = "The credential report is still being generated."


class CredentialReportExpired(AwsError):
    """A report that is older than four hours."""

    code = "ReportExpired"
    status = 410
    text = "The most recent credential report has expired. Please generate a new one."


class SignInRefused(AwsError):
    """Somebody who is not let in by name and password."""

    code = "SignInRefused"
    status = 401
    text = "Your authentication information is incorrect. Please try again."


class NotSupportedService(AwsError):
    """A service that has no credentials of its own."""

    code = "NotSupportedService"
    status = 404


class PasswordPolicyViolation(AwsError):
    """A password that is too simple."""

    code = "PasswordPolicyViolation"
    status = 400


class InvalidUserType(AwsError):
    """Somebody who has no password that could be changed."""

    code = "InvalidUserType"
    status = 400


class FeatureEnabled(AwsError):
    """Outbound federation that is on already."""

    code = "FeatureEnabled"
    status = 409
    text = (
        "The request failed because outbound identity federation is already enabled for your AWS "
        "account. You cannot enable the feature multiple times. To fetch the current configuration "
        "(including the unique issuer URL), use the GetOutboundWebIdentityFederationInfo operation."
    )


class FeatureDisabled(AwsError):
    """Outbound federation that is off already."""

    code = "FeatureDisabled"
    status = 404
    text = (
        "The request failed because outbound identity federation is already disabled for your AWS "
        "account. You cannot disable the feature multiple times."
    )


class OrganizationNotFound(AwsError):
    """An account that is in no organisation."""

    code = "OrganizationNotFoundException"
    text = "The request was rejected because no organization is associated with your account."


class OrganizationNotInAllFeaturesMode(AwsError):
    """An organisation that only pays together."""

    code = "OrganizationNotInAllFeaturesModeException"
    text = "The request was rejected because your organization does not have All features enabled."


class ServiceAccessNotEnabled(AwsError):
    """An organisation that does not trust IAM."""

    code = "ServiceAccessNotEnabledException"
    text = (
        "The request was rejected because trusted access is not enabled for IAM in Organizations."
    )


class CallerIsNotManagementAccount(AwsError):
    """An account that may do much for the organisation, but not this."""

    code = "CallerIsNotManagementAccountException"
    text = (
        "The request was rejected because the account making the request is not the management "
        "account for the organization."
    )


class AccountNotManagementOrDelegatedAdministrator(AwsError):
    """A member like others."""

    code = "AccountNotManagementOrDelegatedAdministratorException"
    text = (
        "The request was rejected because the account making the request is not the management "
        "account or delegated administrator account for centralized root access."
    )


def missing(kind: str, name: str) -> NoSuchEntity:
    """`The user with name x cannot be found.`"""
    return NoSuchEntity(f"The {kind} with name {name} cannot be found.")


def taken(kind: str, name: str) -> EntityAlreadyExists:
    """`User with name x already exists.`"""
    return EntityAlreadyExists(f"{kind} with name {name} already exists.")
