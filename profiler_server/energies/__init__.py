"""What inferences take on targets, as it is stored and derived."""
