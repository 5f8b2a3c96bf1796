"""Finding secrets: lists by filters, and many values at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, row_key
from doppio.kernel.paging import every, page_token
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.errors import InvalidParameter
from doppio.services.secretsmanager.records import Secret
from doppio.services.secretsmanager.secrets import described
from doppio.services.secretsmanager.values import position, stages_by_version, value_told
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w

_ORDERS = {
    "created-date": lambda one: one.created_at,
    "last-changed-date": lambda one: one.changed_at,
    "last-accessed-date": lambda one: one.accessed_on or one.created_at,
    "name": lambda one: one.name,
}


class Lists:
    """The operations on many secrets."""

    async def list_secrets(self, ctx: Context, req: w.ListSecretsRequest) -> w.ListSecretsResponse:
        """The account's secrets in the Region that pass the filters, by pages, in an order."""
        most = req.get("MaxResults", limits.LISTED_SECRETS_MAX)
        found = await _passing(
            ctx, req.get("Filters") or [], bool(req.get("IncludePlannedDeletion"))
        )
        order = _ORDERS[req.get("SortBy", "created-date")]
        found.sort(key=order, reverse=req.get("SortOrder", "desc") == "desc")
        scope = f"secrets/{ctx.account}/{ctx.region}/{req.get('SortBy')}/{req.get('SortOrder')}"
        shown, token = _page(found, position(req, scope), most, scope)
        ctx.read().meter("SecretsManager-Requests")
        told: w.ListSecretsResponse = {"SecretList": [_entry(one) for one in shown]}
        if token is not None:
            told["NextToken"] = token
        return told

    async def batch_get_secret_value(
        self, ctx: Context, req: w.BatchGetSecretValueRequest
    ) -> w.BatchGetSecretValueResponse:
        """The current values of up to twenty secrets; each is granted or refused by itself."""
        names, filters = req.get("SecretIdList"), req.get("Filters")
        if bool(names) == bool(filters):
            raise InvalidParameter("Either SecretIdList or Filters must be provided, but not both.")
        token = None
        if filters:
            most = req.get("MaxResults", limits.BATCH_MAX)
            scope = f"batch/{ctx.account}/{ctx.region}"
            found = await _passing(ctx, filters, False)
            shown, token = _page(found, position(req, scope), most, scope)
            names = [one.arn for one in shown]
        values: list[dict[str, Any]] = []
        errors: list[w.APIErrorType] = []
        for name in names or []:
            try:
                values.append(await value_told(ctx, name, None, None, batch=True))
            except AwsError as error:
                if error.status >= 500:
                    raise
                errors.append({"SecretId": name, "ErrorCode": error.code, "Message": error.message})
        ctx.read().meter("SecretsManager-Requests")
        told: dict[str, Any] = {"SecretValues": values, "Errors": errors}
        if token is not None:
            told["NextToken"] = token
        return cast("w.BatchGetSecretValueResponse", told)


async def _passing(ctx: Context, filters: list[Any], deleted: bool) -> list[Secret]:
    place = (ctx.account, ctx.region)
    return [
        row
        async for row in every(ctx.read(), Secret, place, step=limits.SECRETS_A_STEP)
        if (deleted or row.purged_at is None) and all(passes(row, one) for one in filters)
    ]


def passes(secret: Secret, one: Mapping[str, Any]) -> bool:
    """Whether a secret passes a filter: any of its values, or none of those that begin with `!`."""
    kind = one["Key"]
    texts = {
        "name": [secret.name],
        "description": [secret.description],
        "tag-key": list(secret.tags),
        "tag-value": list(secret.tags.values()),
        "primary-region": [secret.primary.split(":")[3] if secret.primary else secret.region],
        "owning-service": [],
    }.get(kind)
    if texts is None:
        texts = [secret.name, secret.description, *secret.tags, *secret.tags.values()]
    exact = kind in {"name", "tag-key", "tag-value"}
    wanted = [value for value in one["Values"] if not value.startswith("!")]
    barred = [value[1:] for value in one["Values"] if value.startswith("!")]
    if any(_begins(text, value, exact) for value in barred for text in texts):
        return False
    return not wanted or any(_begins(text, value, exact) for value in wanted for text in texts)


def _begins(text: str, value: str, exact: bool) -> bool:
    """Names and tags begin with a value, case and all; of descriptions, a word does."""
    if exact:
        return text.startswith(value)
    text, value = text.lower(), value.lower()
    return text.startswith(value) or f" {value}" in text


def _page(
    found: list[Secret], after: bytes | None, most: int, scope: str
) -> tuple[list[Secret], str | None]:
    keys = [row_key(one) for one in found]
    begin = keys.index(after) + 1 if after in keys else 0
    shown = found[begin : begin + most]
    more = begin + most < len(found)
    return shown, page_token(row_key(shown[-1]), scope) if more else None


def _entry(secret: Secret) -> w.SecretListEntry:
    told = described(secret)
    if secret.stages:
        told["SecretVersionsToStages"] = stages_by_version(secret)
    return cast("w.SecretListEntry", told)
