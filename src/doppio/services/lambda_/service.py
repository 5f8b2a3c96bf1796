"""Lambda: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.lambda_.aliases import Aliases
from doppio.services.lambda_.calls import Calls
from doppio.services.lambda_.code import PAGE, code_page
from doppio.services.lambda_.concurrency import Concurrency
from doppio.services.lambda_.event_invokes import EventInvokes
from doppio.services.lambda_.following import Following
from doppio.services.lambda_.functions import Functions, settle
from doppio.services.lambda_.holdings import Account
from doppio.services.lambda_.layer_policies import LayerPolicies
from doppio.services.lambda_.layers import Layers
from doppio.services.lambda_.mappings import Mappings
from doppio.services.lambda_.packages import FORGET, forget
from doppio.services.lambda_.permissions import needs
from doppio.services.lambda_.policies import Policies
from doppio.services.lambda_.polling import Polling
from doppio.services.lambda_.queue import Runner
from doppio.services.lambda_.runtime_management import RuntimeManagement
from doppio.services.lambda_.signing import Signing
from doppio.services.lambda_.tagging import Tagging
from doppio.services.lambda_.updates import Updates
from doppio.services.lambda_.url_serving import UrlHosts
from doppio.services.lambda_.urls import FunctionUrls
from doppio.services.lambda_.versions import SETTLE, Versions

SERVICE = Service(
    "lambda",
    groups=[
        Functions(), Updates(), Versions(), Aliases(), Account(), Policies(), Tagging(),
        Concurrency(), EventInvokes(), Signing(), RuntimeManagement(), Mappings(), Layers(), LayerPolicies(), FunctionUrls(), Calls(),
    ],
    needs=needs,
    data_events=["Invoke", "InvokeAsync", "InvokeWithResponseStream"],
    controllers=[Runner(), Polling(), Following()],
    jobs={SETTLE: settle, FORGET: forget},
    pages={PAGE: code_page},
    hosts=UrlHosts(),
)  # fmt: skip
