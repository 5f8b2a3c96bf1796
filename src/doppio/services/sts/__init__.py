"""STS: who am I, and how do I become somebody else for a while.

The sessions themselves are IAM's (`iam.sessions`), which knows what they may do; STS reaches IAM
through its port, `ports.py` there.
"""
