"""Phones with Wireless debugging (Android 11 and later): pairing, TLS, and where they are."""
