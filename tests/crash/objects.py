"""S3 under load: plain, large and multipart objects, deletions, and a versioned bucket."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from botocore.exceptions import ClientError

from .clients import Clients, code
from .ledgers import Register
from .load import Worker

PART_BYTES = 5 * 1024 * 1024
# Kept in the store, on the border to a file, in a file, and in several pieces.
SIZES = (0, 100, 3_000, 30_000, 66_000, 300_000)
LARGE_BYTES = 2_500_000
KEYS = 5
# An object as a client tells it from others: its length and its hash. None: no object.
Sum = tuple[int, str] | None
_noise = random.Random(1).randbytes(PART_BYTES)


def body(mark: str, size: int) -> bytes:
    """`size` bytes that no other mark has, at both ends."""
    sign = mark.encode()
    return (sign + _noise[: max(0, size - 2 * len(sign))] + sign)[:size]


def summed(content: bytes) -> Sum:
    """What is compared of an object."""
    return len(content), hashlib.sha256(content).hexdigest()


class Objects(Worker):
    """Puts, replaces, reads and deletes objects under keys that nobody else writes."""

    def __init__(self, clients: Clients, seed: int, bucket: str) -> None:
        super().__init__(clients, seed)
        self.bucket = bucket
        self.registers: list[Register[Sum]] = [
            Register(f"{bucket}/w{seed}/{number}", None) for number in range(KEYS)
        ]
        self._marks = 0

    def setup(self) -> None:
        try:
            self.clients.call("s3", "create_bucket", Bucket=self.bucket)
        except ClientError as error:
            assert code(error) in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}  # noqa: PT017

    def step(self) -> None:
        register = self.random.choice(self.registers)
        register.seen(self.read(register))
        chance = self.random.random()
        if chance < 0.15:
            self.write(register, None, lambda: self._s3("delete_object", register))
        elif chance < 0.2:
            self._multipart(register)
        else:
            size = LARGE_BYTES if chance > 0.95 else self.random.choice(SIZES)
            content = body(self._mark(), size)
            self.write(
                register, summed(content), lambda: self._s3("put_object", register, Body=content)
            )

    def check(self) -> None:
        present = set()
        for register in self.registers:
            found = self.read(register)
            register.seen(found)
            if found is not None:
                present.add(_key(register))
        listed = self.clients.surely(
            "s3", "list_objects_v2", Bucket=self.bucket, Prefix=_key(self.registers[0])[:-1]
        )
        assert {entry["Key"] for entry in listed.get("Contents", [])} == present

    def read(self, register: Register[Sum]) -> Sum:
        """What is there now."""
        try:
            got = self.clients.surely("s3", "get_object", Bucket=self.bucket, Key=_key(register))
        except ClientError as error:
            if code(error) == "NoSuchKey":
                return None
            raise
        return summed(got["Body"])

    def _multipart(self, register: Register[Sum]) -> None:
        upload = self._s3("create_multipart_upload", register)["UploadId"]
        contents = [body(self._mark(), PART_BYTES), body(self._mark(), 1_000)]
        parts = [
            {
                "PartNumber": number,
                "ETag": self._s3(
                    "upload_part", register, UploadId=upload, PartNumber=number, Body=content
                )["ETag"],
            }
            for number, content in enumerate(contents, 1)
        ]
        self.write(
            register,
            summed(b"".join(contents)),
            lambda: self._s3(
                "complete_multipart_upload", register, UploadId=upload,
                MultipartUpload={"Parts": parts},
            ),
        )  # fmt: skip

    def _mark(self) -> str:
        self._marks += 1
        return f"<{self.registers[0].name} {self._marks}>"

    def _s3(self, method: str, register: Register[Sum], **req: Any) -> dict[str, Any]:
        return self.clients.call("s3", method, Bucket=self.bucket, Key=_key(register), **req)


class Copies(Objects):
    """Copies its objects over each other, which shares their bytes, between other writes."""

    def step(self) -> None:
        source, target = self.random.sample(self.registers, 2)
        found = self.read(source)
        source.seen(found)
        if found is None or self.random.random() < 0.4:
            super().step()
            return
        where = {"Bucket": self.bucket, "Key": _key(source)}
        self.write(target, found, lambda: self._s3("copy_object", target, CopySource=where))


class Versions(Worker):
    """Puts versions of a few keys; each that was acknowledged stays, in order, with its bytes."""

    def __init__(self, clients: Clients, seed: int) -> None:
        super().__init__(clients, seed)
        self.bucket = f"versions-{seed}"
        self._told: dict[str, list[tuple[str, bytes]]] = {"a": [], "b": []}
        self._asked = 0

    def setup(self) -> None:
        self.clients.call("s3", "create_bucket", Bucket=self.bucket)
        self.clients.call(
            "s3", "put_bucket_versioning", Bucket=self.bucket,
            VersioningConfiguration={"Status": "Enabled"},
        )  # fmt: skip

    def step(self) -> None:
        key = self.random.choice(["a", "b"])
        self._asked += 1
        content = body(f"<{key} {self._asked}>", self.random.choice((40, 1_000, 70_000)))
        put = self.clients.call("s3", "put_object", Bucket=self.bucket, Key=key, Body=content)
        self._told[key].append((put["VersionId"], content))

    def check(self) -> None:
        asked = 0
        for key, told in self._told.items():
            pages = self._listed(key)
            asked += len(pages)
            ids = [version for version, _ in told]
            kept = [version for version in reversed(pages) if version in set(ids)]
            assert kept == ids, "each version that was acknowledged is listed, in order"
            for version, content in told[-10:]:
                got = self.clients.surely(
                    "s3", "get_object", Bucket=self.bucket, Key=key, VersionId=version
                )
                assert got["Body"] == content
        assert asked <= self._asked

    def _listed(self, key: str) -> list[str]:
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self.clients.surely(
                "s3", "list_object_versions", Bucket=self.bucket, Prefix=key, **more
            )
            found += [version["VersionId"] for version in page.get("Versions", [])]
            if not page["IsTruncated"]:
                return found
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page["NextVersionIdMarker"],
            }


def _key(register: Register[Sum]) -> str:
    return register.name.partition("/")[2]
