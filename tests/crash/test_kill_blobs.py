"""kill -9 under writes while bodies lie in an object store: a real SeaweedFS, over HTTP."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from doppio.kernel.object_blobs import ObjectBlobs, open_object_store
from tests.kernel.seaweedfs import weed

from .clients import Clients
from .load import Load
from .objects import Copies, Objects
from .servers import Server
from .test_kill_s3 import claims


@pytest.mark.slow
def test_kill_nine_loses_no_body_that_lies_elsewhere(tmp_path: Path) -> None:
    chance = random.Random(5)
    data = tmp_path / "data"
    (tmp_path / "weed").mkdir()
    with weed(tmp_path / "weed") as place:
        url = place.replace("PREFIX", "cloud")
        with Server(data, "--blobs", url) as server:
            clients = Clients([server.endpoint])
            workers = [Objects(clients, 1, "objects"), Copies(clients, 2, "objects")]
            load = Load(clients, [*workers])
            load.start()
            for _ in range(5):
                load.hold(chance.uniform(0.3, 1.5))
                server.kill()
                server.start()
            load.hold(0.5)
            load.finish()
            clients.over.clear()
            for worker in workers:
                worker.check()
            server.stop()
        stored = set(ObjectBlobs(open_object_store(url)).ids())
        claimed = claims(data)
        print(f"  {load.report()}\n  blobs stored: {len(stored)}, claimed: {len(claimed)}")
        assert claimed, "large bodies were written"
        assert claimed <= stored, "a record whose body is gone"
        assert all(worker.steps for worker in workers)
