"""Every number that AWS documents for CloudWatch, with its unit last in the name.

Source: "CloudWatch quotas", "Metrics retention" and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

DATA_MAX = 1_000
VALUES_A_DATUM_MAX = 150
DIMENSIONS_MAX = 30
VALUE_MAX = 2.0**360
OLDEST = timedelta(weeks=2)
NEWEST = timedelta(hours=2)
LISTED_METRICS_MAX = 500
LISTED_FOR = timedelta(weeks=2)
RECENTLY = timedelta(hours=3)
STATISTICS_POINTS_MAX = 1_440
QUERIES_MAX = 500
QUERY_POINTS_MAX = 100_800
ALARMS_A_PAGE_MAX = 100
ACTIONS_MAX = 5
HISTORY_KEPT = timedelta(days=30)
DASHBOARDS_A_PAGE_MAX = 1_000
DASHBOARD_METRICS_MAX = 2_500
PERIODS_FINE_SECONDS = (1, 5, 10, 20, 30)
EVALUATION_SECONDS_MAX = 86_400
EVALUATION_SECONDS_LONG_MAX = 604_800
# Points of so many seconds are kept so long, and then join those of the next.
KEPT: dict[int, timedelta] = {
    1: timedelta(hours=3),
    60: timedelta(days=15),
    300: timedelta(days=63),
    3_600: timedelta(days=455),
}
# Ours: beyond so many different values a point keeps them to three digits.
VALUES_EXACT_MAX = 512
# Ours: rows read in one step, and rows that a job changes in one commit.
ROWS_A_READ = 1_000
ROWS_A_ROLLUP = 200
# Ours: an alarm looks at so many periods more than it needs, where some have no data.
PERIODS_BEHIND = 2
# Reports of Contributor Insights.
RULES_LISTED_MAX = 500
CONTRIBUTORS_MAX = 100
REPORT_SECONDS_MAX = 86_400
