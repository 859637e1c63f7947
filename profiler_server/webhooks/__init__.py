"""Events sent to addresses that ask for them, as the Standard Webhooks specification says."""
