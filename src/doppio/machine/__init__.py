"""What touches the world outside this process: small drivers, each of one thing.

They decide nothing and keep nothing. A service gets them by `ctx.machine`.
"""
