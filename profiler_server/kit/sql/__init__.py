"""SQL beneath the repositories: sessions, column types, schema, bulk writes and pages."""
