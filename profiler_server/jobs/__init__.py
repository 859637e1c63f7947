"""Jobs and the tasks they are made of."""
