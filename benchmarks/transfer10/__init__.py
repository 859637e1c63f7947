"""A target's table out of a sibling's and ten visits, on this host as five devices."""
