"""KMS: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.kms.agreement import Agreement
from doppio.services.kms.aliases import Aliases
from doppio.services.kms.data import Data
from doppio.services.kms.deletion import DELETE, Deletion, delete_key
from doppio.services.kms.grants import Grants
from doppio.services.kms.imports import EXPIRE, Imports, expire
from doppio.services.kms.key_policies import KeyPolicies
from doppio.services.kms.key_stores import CONNECT, KeyStores, connect
from doppio.services.kms.keys import Keys
from doppio.services.kms.last_use import LastUses
from doppio.services.kms.multi_region import SETTLE, MultiRegion, settle
from doppio.services.kms.permissions import needs
from doppio.services.kms.rotation import ROTATE, Rotation, rotate
from doppio.services.kms.signing import Signing

SERVICE = Service(
    "kms",
    groups=[
        Keys(),
        KeyPolicies(),
        Deletion(),
        Aliases(),
        Rotation(),
        Imports(),
        MultiRegion(),
        Data(),
        Signing(),
        Agreement(),
        Grants(),
        LastUses(),
        KeyStores(),
    ],
    needs=needs,
    jobs={DELETE: delete_key, ROTATE: rotate, EXPIRE: expire, SETTLE: settle, CONNECT: connect},
)
