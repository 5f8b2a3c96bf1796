"""The coffee shop: a cloud at work, with unmodified clients."""
