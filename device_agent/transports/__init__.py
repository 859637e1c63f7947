"""Ways to reach a phone: shell, push, pull and reconnect, whatever lies between."""
