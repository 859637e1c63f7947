# One image for the server and one for the agent, chosen by the target: no compiler, no pip's
# cache and no root in either. Versions are those of constraints.txt.
FROM python:3.12.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/profiler/bin:$PATH \
    PROFILER_DATA_DIR=/data
RUN useradd --system --uid 10001 --no-create-home profiler \
    && install --directory --owner profiler --group profiler /data

FROM base AS source
WORKDIR /source
RUN python -m venv /opt/profiler
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY netspec ./netspec
COPY profiler_server ./profiler_server
COPY device_agent ./device_agent
COPY search_client ./search_client
COPY migrations ./migrations

FROM source AS server-build
RUN pip install --no-cache-dir --constraint constraints.txt '.[server,arrow]'

FROM source AS agent-build
RUN pip install --no-cache-dir --constraint constraints.txt '.[agent]'

FROM base AS agent
COPY --from=agent-build /opt/profiler /opt/profiler
USER profiler
VOLUME /data
CMD ["device-agent", "run"]

FROM base AS server
COPY --from=server-build /opt/profiler /opt/profiler
USER profiler
VOLUME /data
EXPOSE 8600
CMD ["profiler-server", "serve", "--host", "0.0.0.0", "--port", "8600"]
