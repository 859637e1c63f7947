"""`python -m profiler_server` is `profiler-server`."""

from profiler_server.cli import main

main()
