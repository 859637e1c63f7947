"""The least that FastAPI can do: what the server is compared with.

Started as `python -m benchmarks.server_load.bare serve --port 0`; served by the profiler's own
`serve`, so with its settings of uvicorn.
"""

from __future__ import annotations

import argparse

from fastapi import FastAPI

from profiler_server import serving
from profiler_server.kit.work_signal import WorkSignal

PATH = "/bare"


def bare_app() -> FastAPI:
    """One endpoint that returns a small dict."""
    app = FastAPI()
    app.state.work_signal = WorkSignal()

    @app.get(PATH)
    async def bare() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    """Serves until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--port", type=int, default=0)
    listening = serving.listen("127.0.0.1", parser.parse_args().port)

    def announce() -> None:
        print(f"profiler-server at {serving.url_of(listening)}", flush=True)
        print("no token is needed", flush=True)

    serving.serve(bare_app(), listening, announce)


if __name__ == "__main__":
    main()
