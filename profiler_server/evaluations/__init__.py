"""What models give for test images on targets."""
