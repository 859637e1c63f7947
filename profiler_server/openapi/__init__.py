"""What the OpenAPI document says beyond the endpoints' signatures."""
