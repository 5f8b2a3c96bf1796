"""STS's errors."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AccessDenied(AwsError):
    """A role does not trust the caller, or the caller may not become it."""

    code = "AccessDenied"
    status = 403


class ValidationError(AwsError):
    """A parameter out of its range."""

    code = "ValidationError"


class MalformedPolicyDocument(AwsError):
    """A session policy that is none."""

    code = "MalformedPolicyDocument"


class PackedPolicyTooLarge(AwsError):
    """Session policies and tags that take too much room together."""

    code = "PackedPolicyTooLarge"


class InvalidParameterValue(AwsError):
    """Tags that cannot be."""

    code = "InvalidParameterValue"


class InvalidIdentityToken(AwsError):
    """A token that is none, or that its issuer has not given to one of the account's clients."""

    code = "InvalidIdentityToken"


class ExpiredToken(AwsError):
    """A token whose time is over."""

    code = "ExpiredTokenException"


class OutboundFederationDisabled(AwsError):
    """An account for whose principals STS does not vouch."""

    code = "OutboundWebIdentityFederationDisabledException"
    status = 403
    text = (
        "The outbound web identity federation feature is not enabled for this account. To use this "
        "feature, you must first enable it through the AWS Management Console or API."
    )


class SessionDurationEscalation(AwsError):
    """A token that would outlive the session that asks for it."""

    code = "SessionDurationEscalationException"
    status = 403
    text = (
        "The requested token duration would extend the session beyond its original expiration time. "
        "You cannot use this operation to extend the lifetime of a session beyond what was granted "
        "when the session was originally created."
    )


class InvalidSubjectCredentials(AwsError):
    """A caller who does not come with a session that could be scoped down."""

    code = "InvalidSubjectCredentials"
    text = (
        "The session used to call GetScopedCredentials is not a valid session. Call it with "
        "temporary credentials that are not the root user's."
    )


class InsufficientSessionLifetime(AwsError):
    """Credentials that would outlive the session from which they come."""

    code = "InsufficientSessionLifetime"
    text = (
        "The requested DurationSeconds is greater than the remaining lifetime of the calling "
        "session."
    )


class InvalidAuthorizationMessage(AwsError):
    """A message that we did not give, or no longer know."""

    code = "InvalidAuthorizationMessageException"
    text = "Message is not valid"


class ExpiredTradeInToken(AwsError):
    """A token of a delegated session that is over."""

    code = "ExpiredTradeInTokenException"
    text = (
        "The trade-in token provided in the request has expired and can no longer be exchanged for "
        "credentials. Request a new token and retry the operation."
    )


class IdpCommunicationError(AwsError):
    """An issuer that does not answer."""

    code = "IDPCommunicationError"
    text = (
        "Error communicating with the identity provider: it could not be reached, or its "
        "certificate is not one that is trusted."
    )
