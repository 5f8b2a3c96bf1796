"""Packages: kept while something uses them, unpacked whole or not at all."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from doppio.kernel.identity import root_of
from doppio.services.lambda_.packages import BadZip, unpack, unpacked
from tests.services.lambda_.base import make_function, packages, until, zipped, zipped_files
from tests.services.world import ACCOUNT, REGION, World, told


@told
async def test_the_sweep_of_s3_leaves_packages_alone(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="swept")
    await make_function(world)
    for _ in range(3):
        await world.advance(days=2)
    assert len(packages(world)) == 1
    assert (await world.call("lambda", "get_function", FunctionName="f"))["Code"]["Location"]


@told
async def test_a_package_stays_while_a_version_uses_it(world: World) -> None:
    await make_function(world, Publish=True)
    await world.call("lambda", "update_function_code", FunctionName="f", ZipFile=zipped("x"))
    await world.advance(hours=2)
    assert len(packages(world)) == 2
    await world.call("lambda", "delete_function", FunctionName="f", Qualifier="1")
    await world.advance(hours=2)
    await until(world, lambda: len(packages(world)) == 1)


@told
async def test_a_package_is_unpacked_when_it_is_needed_and_again_when_it_is_gone(
    world: World,
) -> None:
    await make_function(world)
    [package] = packages(world)
    ctx = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="r")
    folder = await unpacked(ctx, package, len(zipped()))
    assert [one.name for one in folder.iterdir()] == ["app.py"]
    (folder / "app.py").unlink()
    folder.rmdir()
    assert (await unpacked(ctx, package, len(zipped())) / "app.py").is_file()


def test_programs_stay_programs_and_links_stay_links(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        program = zipfile.ZipInfo("bin/bootstrap")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, "#!/bin/sh\n")
        link = zipfile.ZipInfo("bootstrap")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "bin/bootstrap")
        archive.writestr("empty/", "")
    unpack(buffer.getvalue(), tmp_path / "code", "u")
    assert (tmp_path / "code/bin/bootstrap").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "code/bootstrap").readlink() == Path("bin/bootstrap")
    assert (tmp_path / "code/empty").is_dir()


@pytest.mark.parametrize("files", [{"a": "1", "a/b": "2"}, {"x": b"\0" * 100_000}])
def test_what_cannot_be_unpacked_leaves_nothing(
    tmp_path: Path, files: dict[str, str | bytes]
) -> None:
    content = bytearray(zipped_files(files))
    content[60:70] = b"0123456789"
    with pytest.raises(BadZip):
        unpack(bytes(content), tmp_path / "code", "u")
    assert list(tmp_path.iterdir()) == []


def test_a_file_below_a_link_is_not_written_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, to in (("a", "."), ("a/b", ".."), ("a/b/c", "..")):
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, to)
        archive.writestr("b/outside/file", "x")
    with pytest.raises(BadZip):
        unpack(buffer.getvalue(), tmp_path / "code", "u")
    assert list((tmp_path / "outside").iterdir()) == []
