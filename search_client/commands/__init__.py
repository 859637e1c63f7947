"""The commands of `search-client`, one module each; `search_client/cli.py` registers them.

torch is imported inside the commands that need it: `targets` and `--help` answer at once.
"""
