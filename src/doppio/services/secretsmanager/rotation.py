"""Rotation: a function makes a new version, tries it, and makes it the current one.

Secrets Manager asks the function, a step at a time, and keeps the appointments. A rotation that fails
is tried again; one that goes on failing is taken up by the next appointment, for the same version.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.listening import tell
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.access import again, by_arn, permitted
from doppio.services.secretsmanager.errors import InvalidParameter, InvalidRequest
from doppio.services.secretsmanager.forgetting import ROTATE
from doppio.services.secretsmanager.records import CURRENT, PENDING, Rotation, Secret
from doppio.services.secretsmanager.replication import primary_only
from doppio.services.secretsmanager.rotation_rules import BadRules, check, next_window
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w

TRY = "secretsmanager.try"
_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_CANNOT = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
    "grants access to the principal secretsmanager.amazonaws.com."
)


class Rotations:
    """The operations on rotation."""

    async def rotate_secret(
        self, ctx: Context, req: w.RotateSecretRequest
    ) -> w.RotateSecretResponse:
        """Set how a secret rotates, and begin, unless the first appointment is to be kept."""
        for member in ("ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn"):
            if req.get(member):
                raise NotImplementedByDoppio(
                    "secretsmanager: managed external secrets exist in AWS and not here"
                )
        seen = await permitted(ctx, req["SecretId"], "RotateSecret", _asked(req))
        at_once = req.get("RotateImmediately", True)
        rotation = _wanted(ctx, primary_only(seen), req)
        token = req.get("ClientRequestToken") or ctx.new_id()
        if _is_under_way(seen, token):
            raise InvalidRequest(
                "A previous rotation isn't complete. That rotation will be reattempted."
            )
        if seen.stages.get(CURRENT) == token and seen.rotation is not None:
            # The request has come again, and is done.
            return {"ARN": seen.arn, "Name": seen.name, "VersionId": token}
        await _check_function(ctx, seen, rotation.function)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            if _is_under_way(secret, token):
                raise InvalidRequest(
                    "A previous rotation isn't complete. That rotation will be reattempted."
                )
            rotation = scheduled(rotation, ctx.now, _since(secret))
            changed = replace(secret, rotation=rotation, changed_at=ctx.now)
            if at_once:
                await _begin(tx, changed, token)
            else:
                await _appoint(tx, changed)
                await tx.schedule(ctx.now, TRY, secret.arn, token=token)
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "Name": seen.name, "VersionId": token}

    async def cancel_rotate_secret(
        self, ctx: Context, req: w.CancelRotateSecretRequest
    ) -> w.CancelRotateSecretResponse:
        """Rotate no more, and stop what is under way; its label is left where it is."""
        seen = primary_only(await permitted(ctx, req["SecretId"], "CancelRotateSecret"))
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            rotation = secret.rotation
            if rotation is not None:
                off = replace(
                    rotation, enabled=False, opens_at=None, closes_at=None, token="", tries=0
                )
                tx.put(replace(secret, rotation=off, changed_at=ctx.now))
            for job in (ROTATE, TRY):
                await tx.unschedule(job, secret.arn)
            tx.meter("SecretsManager-Requests")
        told: dict[str, Any] = {"ARN": seen.arn, "Name": seen.name}
        if rotation is not None and rotation.token:
            told["VersionId"] = rotation.token
        return cast("w.CancelRotateSecretResponse", told)


async def rotate(ctx: Context, job: Job) -> None:
    """An appointment, or a rotation that is under way: all steps from the first.

    The steps are the function's, which may be asked for one twice: that is its contract.
    """
    seen = await by_arn(ctx.read(), job.key)
    if seen is None or seen.rotation is None or seen.purged_at is not None:
        return
    rotation = seen.rotation
    if not rotation.enabled:
        return
    if not rotation.token:
        if rotation.opens_at is None or rotation.opens_at > ctx.clock.now():
            return
        begun = await ctx.transact(lambda tx: _again_begun(tx, seen, ctx.new_id()))
        if begun is None:
            return
        rotation = begun
    token = rotation.token
    problem = ""
    try:
        for step in _STEPS:
            if not await _goes_on(ctx, seen, token):
                return
            await _ask(ctx, seen, rotation.function, step, token)
    except AwsError as error:
        problem = f"{error.code}: {error.message}"
    await ctx.transact(lambda tx: _end(tx, seen, token, problem))


async def attempt(ctx: Context, job: Job) -> None:
    """Try a function's test, with a label that is there for it and goes after it."""
    token = job.arguments["token"]

    async def label(tx: Tx) -> Secret | None:
        secret = await by_arn(tx, job.key)
        if secret is None or secret.rotation is None or not secret.rotation.enabled:
            return None
        held = secret.stages.get(PENDING)
        if held not in {None, token, secret.stages.get(CURRENT)}:
            return None
        labelled = replace(secret, stages={**secret.stages, PENDING: token})
        tx.put(labelled)
        return labelled

    async def unlabel(tx: Tx) -> None:
        secret = await by_arn(tx, job.key)
        if secret is not None and secret.stages.get(PENDING) == token:
            left = {stage: one for stage, one in secret.stages.items() if stage != PENDING}
            tx.put(replace(secret, stages=left))

    secret = await ctx.transact(label)
    if secret is None or secret.rotation is None:
        return
    problem = ""
    try:
        await _ask(ctx, secret, secret.rotation.function, "testSecret", token)
    except AwsError as error:
        problem = f"{error.code}: {error.message}"
    await ctx.transact(unlabel)
    kind = "TestRotationFailed" if problem else "TestRotationSucceeded"
    await ctx.transact(lambda tx: _tell(tx, secret, kind, problem))


async def put_by_hand(tx: Tx, secret: Secret) -> Secret:
    """A value that somebody has put counts as a rotation where days are counted."""
    rotation = secret.rotation
    if rotation is None or not rotation.enabled or rotation.token:
        return secret
    if "AutomaticallyAfterDays" not in rotation.rules:
        return secret
    now = tx.context.clock.now()
    changed = replace(secret, rotation=scheduled(rotation, now, now))
    await _appoint(tx, changed)
    return changed


def scheduled(rotation: Rotation, now: datetime, since: datetime) -> Rotation:
    """The same with its next window."""
    window = next_window(rotation.rules, now, since) if rotation.rules else None
    if window is None:
        return replace(rotation, opens_at=None, closes_at=None)
    return replace(rotation, opens_at=window.opens, closes_at=window.closes)


def described_rotation(secret: Secret) -> dict[str, Any]:
    """What DescribeSecret and ListSecrets tell of it."""
    rotation = secret.rotation
    if rotation is None:
        return {}
    told: dict[str, Any] = {
        "RotationEnabled": rotation.enabled,
        "RotationLambdaARN": rotation.function,
    }
    rare = {
        "RotationRules": dict(rotation.rules),
        "LastRotatedDate": rotation.rotated_at,
        "NextRotationDate": rotation.closes_at,
    }
    told.update((member, value) for member, value in rare.items() if value)
    return told


def _asked(req: w.RotateSecretRequest) -> dict[str, Any]:
    told: dict[str, Any] = {
        "secretsmanager:rotateimmediately": str(req.get("RotateImmediately", True)).lower(),
        "secretsmanager:modifyrotationrules": str("RotationRules" in req).lower(),
    }
    if req.get("RotationLambdaARN"):
        told["secretsmanager:rotationlambdaarn"] = req["RotationLambdaARN"]
    return told


def _wanted(ctx: Context, secret: Secret, req: w.RotateSecretRequest) -> Rotation:
    old = secret.rotation
    function = req.get("RotationLambdaARN") or (old.function if old is not None else "")
    if not function:
        raise InvalidRequest("No Lambda rotation function ARN is associated with this secret.")
    parts = function.split(":")
    if len(parts) not in {7, 8} or parts[2] != "lambda" or parts[3] != secret.region:
        raise InvalidParameter("The RotationLambdaARN is not the ARN of a function in this Region.")
    rules = cast("dict[str, Any]", req.get("RotationRules") or (old.rules if old else {}))
    if rules:
        try:
            check(rules)
        except BadRules as error:
            raise InvalidParameter(str(error)) from error
    rotated_at = None if old is None else old.rotated_at
    return Rotation(function=function, rules=dict(rules), rotated_at=rotated_at)


def _is_under_way(secret: Secret, token: str) -> bool:
    pending = secret.stages.get(PENDING)
    return pending is not None and pending not in {secret.stages.get(CURRENT), token}


def _since(secret: Secret) -> datetime:
    rotation = secret.rotation
    return (rotation.rotated_at if rotation is not None else None) or secret.changed_at


async def _check_function(ctx: Context, secret: Secret, function: str) -> None:
    """Raise AccessDenied where the function is not there, or does not let us ask it."""
    await ctx.authorise("lambda:InvokeFunction", function)
    try:
        await ctx.as_service("secretsmanager", source=secret.arn).call(
            "lambda", "invoke", {"FunctionName": function, "InvocationType": "DryRun"}
        )
    except AwsError as error:
        if error.status >= 500 and error.status != NotImplementedByDoppio.status:
            raise
        raise AccessDenied(_CANNOT) from error


async def _ask(ctx: Context, secret: Secret, function: str, step: str, token: str) -> None:
    """Have the function do a step. Raises AwsError where it does not."""
    event = {"Step": step, "SecretId": secret.arn, "ClientRequestToken": token}
    answer = await ctx.as_service("secretsmanager", source=secret.arn).call(
        "lambda",
        "invoke",
        {
            "FunctionName": function,
            "InvocationType": "RequestResponse",
            "Payload": json.dumps(event).encode(),
        },
    )
    if answer.get("FunctionError"):
        raise InvalidRequest(f"The rotation function failed in its step {step}.")


async def _begin(tx: Tx, secret: Secret, token: str) -> Rotation:
    assert secret.rotation is not None
    rotation = replace(secret.rotation, token=token, tries=0)
    stages = {**secret.stages, PENDING: token}
    tx.put(replace(secret, rotation=rotation, stages=stages))
    await tx.schedule(tx.context.clock.now(), ROTATE, secret.arn)
    await _tell(tx, secret, "RotationStarted", "")
    return rotation


async def _again_begun(tx: Tx, seen: Secret, token: str) -> Rotation | None:
    """Begin a rotation that is due, or the one that was left."""
    secret = await by_arn(tx, seen.arn)
    if secret is None or secret.rotation != seen.rotation:
        return None
    pending = secret.stages.get(PENDING)
    if pending is not None and pending != secret.stages.get(CURRENT):
        token = pending
    return await _begin(tx, secret, token)


async def _goes_on(ctx: Context, seen: Secret, token: str) -> bool:
    """Whether nobody has cancelled the rotation meanwhile."""
    secret = await by_arn(ctx.read(), seen.arn)
    return secret is not None and secret.rotation is not None and secret.rotation.token == token


async def _end(tx: Tx, seen: Secret, token: str, problem: str) -> None:
    """A rotation has succeeded, is to be tried again, or is given up until its next appointment."""
    secret = await by_arn(tx, seen.arn)
    if secret is None or secret.rotation is None or secret.rotation.token != token:
        return
    now = tx.context.clock.now()
    rotation = secret.rotation
    if not problem and secret.stages.get(CURRENT) != token:
        problem = "The rotation function has not moved the label AWSCURRENT to the new version."
    if problem and rotation.tries + 1 < limits.ROTATION_TRIES_MAX:
        tries = rotation.tries + 1
        tx.put(replace(secret, rotation=replace(rotation, tries=tries)))
        await tx.schedule(now + timedelta(minutes=2**tries), ROTATE, secret.arn)
        return
    rotated_at = rotation.rotated_at if problem else now
    over = replace(rotation, token="", tries=0, rotated_at=rotated_at)
    changed = replace(secret, rotation=scheduled(over, now, rotated_at or secret.changed_at))
    await _appoint(tx, changed)
    await _tell(tx, secret, "RotationFailed" if problem else "RotationSucceeded", problem)


async def _appoint(tx: Tx, secret: Secret) -> None:
    """Keep a secret, and its next appointment."""
    assert secret.rotation is not None
    tx.put(secret)
    if secret.rotation.opens_at is not None:
        await tx.schedule(secret.rotation.opens_at, ROTATE, secret.arn)
    else:
        await tx.unschedule(ROTATE, secret.arn)


async def _tell(tx: Tx, secret: Secret, kind: str, problem: str) -> None:
    """Tell EventBridge, as AWS does by way of CloudTrail."""
    told: dict[str, Any] = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": kind,
        "eventType": "AwsServiceEvent",
        "awsRegion": secret.region,
        "recipientAccountId": secret.account,
        "additionalEventData": {"SecretId": secret.arn},
    }
    if problem:
        told["errorMessage"] = problem
    place = (secret.account, secret.region)
    await tell(
        tx, place, "aws.secretsmanager", "AWS Service Event via CloudTrail", told, [secret.arn]
    )
