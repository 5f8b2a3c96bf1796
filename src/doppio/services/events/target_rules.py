"""What a target may be, and what EventBridge says of one that may not. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from typing import Any

from doppio.services.events.errors import Validation
from doppio.services.events.transform import BadPath, path_steps, unknown_variables
from doppio.wire.arn import is_arn, parse
from doppio.wire.errors import NotImplementedByDoppio

# Kinds of targets: the service of the ARN, and the model whose operation reaches it.
MODELS = {
    "sqs": "sqs",
    "sns": "sns",
    "logs": "logs",
    "lambda": "lambda",
    "kinesis": "kinesis",
    "firehose": "firehose",
    "states": "stepfunctions",
    "events": "events",
}
_NEEDS_ROLE = frozenset({"kinesis", "firehose", "states"})
# What goes with kinds of targets that are not here.
_OTHERS = (
    "RunCommandParameters", "EcsParameters", "BatchParameters", "RedshiftDataParameters",
    "SageMakerPipelineParameters", "AppSyncParameters",
)  # fmt: skip
_INPUTS = ("Input", "InputPath", "InputTransformer")
_KEY = re.compile(r'"(<[^<>"]+>)"\s*:|<([^<>"]+)>\s*:')


def check_target(target: Mapping[str, Any], present: Container[str]) -> None:
    """Raise Validation for a target that means nothing, NotImplementedByDoppio for one not here.

    `present` are the services that this cloud has.
    """
    arn = target["Arn"]
    if not is_arn(arn):
        raise _not_valid(arn)
    found = parse(arn)
    model = MODELS.get(found.service)
    if model is None or model not in present:
        raise NotImplementedByDoppio(
            f"events: targets of {found.service} exist in AWS and not yet in this cloud"
        )
    for name in _OTHERS:
        if target.get(name):
            raise NotImplementedByDoppio(
                f"events: targets with {name} exist in AWS and not yet in this cloud"
            )
    _check_kind(target, found.service, found.resource)
    _check_inputs(target)
    dead = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead and (not is_arn(dead) or parse(dead).service != "sqs" or dead.endswith(".fifo")):
        raise _not_valid(dead)


def _not_valid(arn: str) -> Validation:
    return Validation(
        f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
    )


def _check_kind(target: Mapping[str, Any], service: str, resource: str) -> None:
    arn, one = target["Arn"], target["Id"]
    if service == "events":
        if resource.startswith("event-bus/"):
            if any(name in target for name in _INPUTS):
                raise Validation(
                    f"Input, InputPath and InputTransformer are not supported for target {one}."
                )
            if resource.startswith("event-bus/aws."):
                raise _not_valid(arn)
            return
        if not resource.startswith("api-destination/"):
            raise _not_valid(arn)
    if service in _NEEDS_ROLE and not target.get("RoleArn"):
        raise Validation(f"RoleArn is required for target {arn}.")
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    if service == "sqs" and resource.endswith(".fifo") and not group:
        raise Validation(f"Parameter(s) SqsParameters must be specified for target: {one}.")
    if service != "sqs" and "SqsParameters" in target:
        raise Validation(f"Parameter(s) SqsParameters are not supported for target: {one}.")
    if service != "kinesis" and "KinesisParameters" in target:
        raise Validation(f"Parameter(s) KinesisParameters are not supported for target: {one}.")
    if "HttpParameters" in target and not resource.startswith("api-destination/"):
        raise Validation(f"Parameter(s) HttpParameters are not supported for target: {one}.")


def _check_inputs(target: Mapping[str, Any]) -> None:
    one = target["Id"]
    if sum(1 for name in _INPUTS if name in target) > 1:
        raise Validation(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {one}."
        )
    if "Input" in target:
        try:
            json.loads(target["Input"])
        except ValueError as error:
            raise Validation(f"JSON syntax error in input for target {one} : {error}.") from error
    if "InputPath" in target:
        _check_path(target["InputPath"], one)
    transformer = target.get("InputTransformer")
    if transformer:
        paths = transformer.get("InputPathsMap") or {}
        for path in paths.values():
            _check_path(path, one)
        _check_template(transformer["InputTemplate"], paths, one)


def _check_path(path: str, one: str) -> None:
    try:
        path_steps(path)
    except BadPath as error:
        raise Validation(f"Invalid JsonPath for target {one}.") from error


def _check_template(template: str, paths: Mapping[str, str], one: str) -> None:
    unknown = unknown_variables(template, paths)
    if unknown:
        raise Validation(
            f"Invalid InputTemplate for target {one} : "
            f"[InputTemplate for target {one} contains placeholder(s) {', '.join(unknown)} that "
            "cannot be found in InputPathsMap.]"
        )
    if template.lstrip().startswith("{") and _KEY.search(template):
        raise Validation(
            f"Invalid InputTemplate for target {one} : a placeholder is no object key."
        )
