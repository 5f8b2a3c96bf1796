"""Amazon Resource Names: `arn:partition:service:region:account:resource`."""

from __future__ import annotations

from typing import NamedTuple


class Arn(NamedTuple):
    """The six parts of an ARN. `str(arn)` writes it."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def resource_type(self) -> str:
        """`role` of `role/path/x`, `function` of `function:x`; empty where there is none."""
        for at, char in enumerate(self.resource):
            if char in "/:":
                return self.resource[:at]
        return ""

    @property
    def resource_id(self) -> str:
        """What follows the resource's type."""
        return self.resource[len(self.resource_type) + 1 :] if self.resource_type else self.resource


def parse(text: str) -> Arn:
    """The parts of an ARN; ValueError where it is none."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        raise ValueError(f"not an ARN: {text}")
    return Arn(*parts[1:])


def is_arn(text: str) -> bool:
    """Whether `parse` would succeed."""
    parts = text.split(":", 5)
    return len(parts) == 6 and parts[0] == "arn" and bool(parts[1] and parts[2] and parts[5])


def build(service: str, region: str, account: str, resource: str, *, partition: str = "aws") -> str:
    """The text of an ARN."""
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"
