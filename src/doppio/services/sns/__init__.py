"""SNS: one message, told to everybody who subscribed.

Read `records` first, then `topics` and `subscriptions`; `publishing` takes a message in, `courier`
brings it to each subscriber by the ways of `ways` (queues, functions) and `outside` (HTTP, mail,
phones), `notification` is what they get. `archive` tells
FIFO topics' messages again, `protection` keeps back what is sensitive, `sealing` is what encrypted
topics keep, `statuses` logs what became of deliveries. `sms` and `push` are the phones' own
operations.
"""
