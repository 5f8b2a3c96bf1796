"""CloudWatch: numbers over time, what they say together, and alarms that watch them.

Reading order: `records` (what is stored), `points` (how numbers add up, and statistics of them),
`series` (reading them), `metrics` (taking and listing), `statistics` and `queries` (telling),
`expressions` (metric math), `rollup` (what becomes coarser, and goes), `alarms`, `judging` (when an
alarm rings), `watching` (the jobs), `actions` (what a change of state does), `dashboards`.
"""
