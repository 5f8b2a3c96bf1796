"""Labels: names for versions, which can be moved to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.ssm import limits
from doppio.services.ssm.errors import (
    ParameterNotFound,
    ParameterVersionLabelLimitExceeded,
    ParameterVersionNotFound,
)
from doppio.services.ssm.policies import tell_change
from doppio.services.ssm.records import Parameter, Version
from doppio.services.ssm.rules import label_is_allowed

if TYPE_CHECKING:
    from doppio._stubs import ssm as w


class Labels:
    """The operations on labels."""

    async def label_parameter_version(
        self, ctx: Context, req: w.LabelParameterVersionRequest
    ) -> w.LabelParameterVersionResult:
        """Put labels on a version, off whichever had them; those that cannot be are named."""
        wrong = [label for label in req["Labels"] if not label_is_allowed(label)]
        async with ctx.write() as tx:
            parameter, number = await _found(tx, req["Name"], req.get("ParameterVersion"))
            if not wrong:
                labels = {**parameter.labels, **dict.fromkeys(req["Labels"], number)}
                if list(labels.values()).count(number) > limits.LABELS_A_VERSION_MAX:
                    raise ParameterVersionLabelLimitExceeded
                tx.put(replace(parameter, labels=labels))
                await tell_change(tx, parameter, "LabelParameterVersion", "")
            tx.meter("PS-Param-Requests")
        return {"InvalidLabels": wrong, "ParameterVersion": number}

    async def unlabel_parameter_version(
        self, ctx: Context, req: w.UnlabelParameterVersionRequest
    ) -> w.UnlabelParameterVersionResult:
        """Take labels off a version; those that it does not have are named."""
        async with ctx.write() as tx:
            parameter, number = await _found(tx, req["Name"], req["ParameterVersion"])
            gone = [label for label in req["Labels"] if parameter.labels.get(label) == number]
            left = {label: at for label, at in parameter.labels.items() if label not in gone}
            tx.put(replace(parameter, labels=left))
            tx.meter("PS-Param-Requests")
        wrong = [label for label in req["Labels"] if label not in gone]
        return {"RemovedLabels": gone, "InvalidLabels": wrong}


async def _found(tx: Tx, name: str, number: int | None) -> tuple[Parameter, int]:
    ctx = tx.context
    parameter = await tx.get(Parameter, ctx.account, ctx.region, name)
    if parameter is None:
        raise ParameterNotFound
    wanted = parameter.version if number is None else number
    if await tx.get(Version, ctx.account, ctx.region, name, wanted) is None:
        raise ParameterVersionNotFound(
            f"Systems Manager could not find version {wanted} of {name}. Verify the version and "
            "try again."
        )
    return parameter, wanted
