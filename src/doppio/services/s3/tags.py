"""S3's rules for tags, over those that all services share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel import tags as kernel_tags
from doppio.services.s3.errors import InvalidTag
from doppio.services.s3.rules import tag_text_is_allowed


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags, if each is allowed. Raises InvalidTag with S3's texts."""
    for key, value in tags.items():
        if not 1 <= len(key) <= kernel_tags.KEY_CHARS_MAX or not tag_text_is_allowed(key):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > kernel_tags.VALUE_CHARS_MAX or not tag_text_is_allowed(value):
            raise InvalidTag(
                "The TagValue you have provided is invalid", TagKey=key, TagValue=value
            )
        if key.lower().startswith("aws:"):
            raise InvalidTag("System tags cannot be added/updated by requester", TagKey=key)
    return dict(tags)


def tags_of_set(tag_set: Sequence[Mapping[str, Any]], tags_max: int, what: str) -> dict[str, str]:
    """The tags of a TagSet document, checked."""
    if len(tag_set) > tags_max:
        raise InvalidTag(f"{what} tags cannot be greater than {tags_max}")
    try:
        tags = kernel_tags.from_list(tag_set)
    except kernel_tags.BadTags as error:
        raise InvalidTag("Cannot provide multiple Tags with the same key") from error
    return checked_tags(tags)
