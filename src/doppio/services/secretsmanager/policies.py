"""Resource policies: who else may use a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.authorise import InvalidPrincipal, check_policy_document, put_resource
from doppio.kernel.context import Context
from doppio.kernel.policy.public import is_public
from doppio.services.secretsmanager.access import again, permitted
from doppio.services.secretsmanager.errors import MalformedPolicyDocument, PublicPolicy
from doppio.services.secretsmanager.records import Secret
from doppio.services.secretsmanager.replication import copied, passed_on, primary_only
from doppio.services.secretsmanager.values import position

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w


class Policies:
    """The operations on a secret's policy."""

    async def put_resource_policy(
        self, ctx: Context, req: w.PutResourcePolicyRequest
    ) -> w.PutResourcePolicyResponse:
        """Set who may use the secret; it counts for the next request."""
        block = bool(req.get("BlockPublicPolicy"))
        asked = {"secretsmanager:blockpublicpolicy": str(block).lower()}
        seen = await permitted(ctx, req["SecretId"], "PutResourcePolicy", asked)
        document = _checked(ctx, req["ResourcePolicy"])
        if block and is_public(document):
            raise PublicPolicy
        copies = await copied(ctx, _own_policy(seen))
        async with ctx.write() as tx:
            secret = replace(await again(tx, seen), policy=req["ResourcePolicy"])
            tx.put(await passed_on(tx, secret, copies))
            put_resource(tx, secret.arn, secret.account, req["ResourcePolicy"])
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "Name": seen.name}

    async def get_resource_policy(
        self, ctx: Context, req: w.GetResourcePolicyRequest
    ) -> w.GetResourcePolicyResponse:
        """Who may use the secret."""
        secret = await permitted(ctx, req["SecretId"], "GetResourcePolicy", deleted=True)
        told: w.GetResourcePolicyResponse = {"ARN": secret.arn, "Name": secret.name}
        if secret.policy is not None:
            told["ResourcePolicy"] = secret.policy
        return told

    async def list_resource_policies(
        self, ctx: Context, req: w.ListResourcePoliciesRequest
    ) -> w.ListResourcePoliciesResponse:
        """The names of a secret's policies: one, called default, or none."""
        secret = await permitted(ctx, req["SecretId"], "ListResourcePolicies", deleted=True)
        position(req, f"policies/{secret.arn}")
        ctx.read().meter("SecretsManager-Requests")
        named = [] if secret.policy is None else ["default"]
        return {"ResourcePolicies": [{"PolicyName": name} for name in named]}

    async def delete_resource_policy(
        self, ctx: Context, req: w.DeleteResourcePolicyRequest
    ) -> w.DeleteResourcePolicyResponse:
        """Leave it to the account's own policies."""
        seen = await permitted(ctx, req["SecretId"], "DeleteResourcePolicy")
        copies = await copied(ctx, _own_policy(seen))
        async with ctx.write() as tx:
            secret = replace(await again(tx, seen), policy=None)
            tx.put(await passed_on(tx, secret, copies))
            put_resource(tx, secret.arn, secret.account)
        return {"ARN": seen.arn, "Name": seen.name}

    async def validate_resource_policy(
        self, ctx: Context, req: w.ValidateResourcePolicyRequest
    ) -> w.ValidateResourcePolicyResponse:
        """What would be wrong with a policy."""
        if "SecretId" in req:
            await permitted(ctx, req["SecretId"], "ValidateResourcePolicy")
        else:
            await ctx.authorise("secretsmanager:ValidateResourcePolicy", "*")
        problems: list[dict[str, str]] = []
        try:
            document = _checked(ctx, req["ResourcePolicy"])
        except MalformedPolicyDocument as error:
            problems.append({"CheckName": "PolicySyntax", "ErrorMessage": error.message})
        else:
            if is_public(document):
                problems.append({"CheckName": "PublicAccess", "ErrorMessage": PublicPolicy.text})
        return {
            "PolicyValidationPassed": not problems,
            "ValidationErrors": cast("list[w.ValidationErrorsEntry]", problems),
        }


def _own_policy(secret: Secret) -> Secret:
    """The secret, if its policy is its own: a replica of another account's has one, too."""
    if secret.primary.split(":")[4:5] in ([], [secret.account]):
        primary_only(secret)
    return secret


def _checked(ctx: Context, text: str) -> dict[str, Any]:
    try:
        check_policy_document(text, needs_principal=True, partition=ctx.partition)
    except InvalidPrincipal as error:
        raise MalformedPolicyDocument(
            "This resource policy contains an unsupported principal."
        ) from error
    except ValueError as error:
        raise MalformedPolicyDocument(
            f"This resource policy contains a syntax error: {error}"
        ) from error
    document: dict[str, Any] = json.loads(text)
    return document
