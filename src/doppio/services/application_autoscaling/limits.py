"""Every number that AWS documents for Application Auto Scaling, with its unit last in the name.

Source: "Quotas for Application Auto Scaling", and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

TARGETS = Quota(
    "application-autoscaling", "L-D8B3EE8A", "Scalable targets for Amazon DynamoDB", 5_000
)
POLICIES_A_TARGET = 50
SCHEDULED_A_TARGET = 200
LISTED_MAX = 50
ROWS_A_READ = 200
ACTIVITIES_KEPT = timedelta(days=42)
# What DynamoDB's use can be kept at, in percent.
UTILIZATION_MIN, UTILIZATION_MAX = 20.0, 90.0
# How a target is tracked: so many periods above it, or so many below what lies under it.
TRACKED_SECONDS = 60
HIGH_PERIODS, LOW_PERIODS = 2, 15
HIGH_PERIODS_OF_OTHERS = 3
LOW_POINTS_BELOW = 10.0
LOW_SHARE_OF_OTHERS = 0.9
CAPACITY_SECONDS, CAPACITY_PERIODS = 300, 3
# A resource that is being changed is asked again after so long.
BUSY = timedelta(seconds=1)
