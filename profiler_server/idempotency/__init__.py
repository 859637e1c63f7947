"""Requests that a client may repeat without knowing whether the first one arrived."""
