"""IAM: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.iam.access_keys import AccessKeys
from doppio.services.iam.account import Account
from doppio.services.iam.account_details import AccountDetails
from doppio.services.iam.belongings import Certificates, ServiceCredentials, SshKeys
from doppio.services.iam.credential_report import GENERATE, CredentialReports, generate
from doppio.services.iam.delegation_work import FORGET, TELL, forget_delegation, tell_requestor
from doppio.services.iam.delegations import Delegations
from doppio.services.iam.groups import Groups
from doppio.services.iam.identities import Identities
from doppio.services.iam.instance_profiles import InstanceProfiles
from doppio.services.iam.last_accessed import LastAccessed
from doppio.services.iam.linked_roles import JOB, LinkedRoles, delete_linked_role
from doppio.services.iam.login_profiles import LoginProfiles
from doppio.services.iam.mfa_devices import MfaDevices
from doppio.services.iam.oidc_providers import OidcProviders
from doppio.services.iam.organization_reports import OrganizationReports
from doppio.services.iam.outbound_federation import OutboundFederations
from doppio.services.iam.password_policy import PasswordPolicies
from doppio.services.iam.permissions import guarded
from doppio.services.iam.policies import Policies
from doppio.services.iam.roles import Roles
from doppio.services.iam.root_access import RootAccess
from doppio.services.iam.saml_providers import SamlProviders
from doppio.services.iam.server_certificates import ServerCertificates
from doppio.services.iam.sign_in import SIGN_IN, sign_in
from doppio.services.iam.simulation import Simulation
from doppio.services.iam.suggestions import SUGGESTED, suggested_page
from doppio.services.iam.users import Users


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> tuple[Need, ...]:
    """Nothing that can be said without looking: `permissions` asks for every operation."""
    return ()


SERVICE = Service(
    "iam",
    groups=[
        Users(), Groups(), Roles(), Policies(), AccessKeys(), Account(), InstanceProfiles(),
        MfaDevices(), LoginProfiles(), SshKeys(), Certificates(), ServiceCredentials(),
        OidcProviders(), SamlProviders(), PasswordPolicies(), ServerCertificates(),
        AccountDetails(), CredentialReports(), Simulation(), LastAccessed(), LinkedRoles(),
        OutboundFederations(), Delegations(), RootAccess(), OrganizationReports(),
    ],
    needs=needs,
    identities=Identities,
    jobs={
        JOB: delete_linked_role, GENERATE: generate, TELL: tell_requestor,
        FORGET: forget_delegation,
    },
    posts={SIGN_IN: sign_in},
    pages={SUGGESTED: suggested_page},
)  # fmt: skip
SERVICE.operations.update(
    {method: guarded(operation) for method, operation in SERVICE.operations.items()}
)
