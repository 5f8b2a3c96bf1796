"""Lambda: code that runs when somebody asks for it.

Reading order: `records` (what is stored), `names` (what requests call it), `packages` (where code
lies), `running` (the seam to what runs it), then the nouns.
"""
