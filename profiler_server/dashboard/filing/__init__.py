"""Filing jobs by a form that asks one question at a time."""
