"""HTTP beneath the endpoints: bodies, compression, caching, routes and what every request gets."""
