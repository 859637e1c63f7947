"""What a token may see that is limited to labels: narrowed and looked up in one place."""
