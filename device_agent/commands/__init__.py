"""Commands of `device-agent`, one module each."""
