"""Organizations' errors: one class per AWS code that the operations raise.

Most of AWS's texts say no more than the code does; where there is a `Reason`, clients go by it.
"""

from __future__ import annotations

from doppio.wire.errors import AwsError


class NotInUse(AwsError):
    code = "AWSOrganizationsNotInUseException"
    text = "Your account is not a member of an organization."


class AccessDenied(AwsError):
    code = "AccessDeniedException"
    text = "You don't have permissions to access this resource."


class AlreadyInOrganization(AwsError):
    code = "AlreadyInOrganizationException"
    text = "The AWS account is already a member of an organization."


class OrganizationNotEmpty(AwsError):
    code = "OrganizationNotEmptyException"
    text = (
        "To delete an organization you must first remove all member accounts (except the master)."
    )


class MasterCannotLeave(AwsError):
    code = "MasterCannotLeaveOrganizationException"
    text = "You cannot remove the master account from the organization."


class RootNotFound(AwsError):
    code = "RootNotFoundException"
    text = "You specified a root that doesn't exist."


class ParentNotFound(AwsError):
    code = "ParentNotFoundException"
    text = "You specified a parent that doesn't exist."


class ChildNotFound(AwsError):
    code = "ChildNotFoundException"
    text = "You specified a child that doesn't exist."


class SourceParentNotFound(AwsError):
    code = "SourceParentNotFoundException"
    text = "You specified a source parent that doesn't exist."


class DestinationParentNotFound(AwsError):
    code = "DestinationParentNotFoundException"
    text = "You specified a destination parent that doesn't exist."


class DuplicateAccount(AwsError):
    code = "DuplicateAccountException"
    text = "The account is already in the specified destination."


class UnitNotFound(AwsError):
    code = "OrganizationalUnitNotFoundException"
    text = "You specified an organizational unit that doesn't exist."


class UnitNotEmpty(AwsError):
    code = "OrganizationalUnitNotEmptyException"
    text = "The specified organizational unit is not empty."


class DuplicateUnit(AwsError):
    code = "DuplicateOrganizationalUnitException"
    text = "An OU with the same name already exists."


class AccountNotFound(AwsError):
    code = "AccountNotFoundException"
    text = "You specified an account that doesn't exist."


class AccountAlreadyClosed(AwsError):
    code = "AccountAlreadyClosedException"
    text = "The account is already closed."


class CreateAccountStatusNotFound(AwsError):
    code = "CreateAccountStatusNotFoundException"
    text = "You specified a create account request that doesn't exist."


class TargetNotFound(AwsError):
    code = "TargetNotFoundException"
    text = "You specified a target that doesn't exist."


class UnsupportedEndpoint(AwsError):
    code = "UnsupportedAPIEndpointException"
    text = "This action isn't available in the current AWS Region."


class ConstraintViolation(AwsError):
    """A limit; `Reason` says which."""

    code = "ConstraintViolationException"


class InvalidInput(AwsError):
    """A value that cannot be; `Reason` says why."""

    code = "InvalidInputException"


class Conflict(AwsError):
    code = "ConflictException"


def violation(reason: str, text: str) -> ConstraintViolation:
    """A limit that would be passed."""
    return ConstraintViolation(text, Reason=reason)


def invalid(reason: str, text: str) -> InvalidInput:
    """A value that cannot be."""
    return InvalidInput(text, Reason=reason)


class PolicyNotFound(AwsError):
    code = "PolicyNotFoundException"
    text = "You specified a policy that doesn't exist."


class DuplicatePolicy(AwsError):
    code = "DuplicatePolicyException"
    text = "A policy with the specified name and type already exists."


class PolicyInUse(AwsError):
    code = "PolicyInUseException"
    text = "The policy is attached to one or more entities."


class PolicyNotAttached(AwsError):
    code = "PolicyNotAttachedException"
    text = "The policy isn't attached to the specified target."


class DuplicatePolicyAttachment(AwsError):
    code = "DuplicatePolicyAttachmentException"
    text = "The policy is already attached to the specified target."


class PolicyTypeNotAvailable(AwsError):
    code = "PolicyTypeNotAvailableForOrganizationException"
    text = "The specified policy type isn't available for your organization."


class PolicyTypeAlreadyEnabled(AwsError):
    code = "PolicyTypeAlreadyEnabledException"
    text = "The specified policy type is already enabled."


class PolicyTypeNotEnabled(AwsError):
    code = "PolicyTypeNotEnabledException"
    text = "This operation can be performed only for enabled policy types."


class MalformedPolicyDocument(AwsError):
    code = "MalformedPolicyDocumentException"
    text = (
        "The provided policy document does not meet the requirements of the specified policy type."
    )


class EffectivePolicyNotFound(AwsError):
    code = "EffectivePolicyNotFoundException"
    text = "The effective policy of the specified type doesn't exist."


class HandshakeNotFound(AwsError):
    code = "HandshakeNotFoundException"
    text = "You specified a handshake that doesn't exist."


class HandshakeAlreadyInState(AwsError):
    code = "HandshakeAlreadyInStateException"
    text = "The handshake is already in the requested state."


class InvalidHandshakeTransition(AwsError):
    code = "InvalidHandshakeTransitionException"
    text = "You can't perform the operation on the handshake in its current state."


class DuplicateHandshake(AwsError):
    code = "DuplicateHandshakeException"
    text = "A handshake with the same action and target already exists."


class HandshakeConstraintViolation(AwsError):
    """What stands against an agreement; `Reason` says what."""

    code = "HandshakeConstraintViolationException"


class AccessDeniedForDependency(AwsError):
    """Who may not make the service-linked role that Organizations needs."""

    code = "AccessDeniedForDependencyException"
    text = (
        "The request failed because your credentials do not have permission to create the "
        "service-linked role required by AWS Organizations."
    )


class AccountAlreadyRegistered(AwsError):
    code = "AccountAlreadyRegisteredException"
    text = "The provided account is already a delegated administrator for your organization."


class AccountNotRegistered(AwsError):
    code = "AccountNotRegisteredException"
    text = "The provided account is not a registered delegated administrator for your organization."


class ResourcePolicyNotFound(AwsError):
    code = "ResourcePolicyNotFoundException"
    text = "We can't find a resource policy for your organization."


def hindrance(reason: str, text: str) -> HandshakeConstraintViolation:
    """Something that stands against an agreement."""
    return HandshakeConstraintViolation(text, Reason=reason)


class TransferNotFound(AwsError):
    code = "ResponsibilityTransferNotFoundException"
    text = "We can't find a transfer that you specified."


class TransferAlreadyInStatus(AwsError):
    code = "ResponsibilityTransferAlreadyInStatusException"
    text = "The responsibility transfer is already in the status that you specified."


class InvalidTransferTransition(AwsError):
    code = "InvalidResponsibilityTransferTransitionException"
    text = (
        "The responsibility transfer can't transition to the requested state because it's not in "
        "a valid state for this operation."
    )
