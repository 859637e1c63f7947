"""The latency model: from entries and measured networks to predictions with their error.

Pure numbers: no SQL and no HTTP. scikit-learn and scipy are imported where they are used.
"""
