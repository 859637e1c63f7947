FROM python:3.12.12-slim-bookworm

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
COPY netspec ./netspec
COPY profiler_server ./profiler_server
COPY device_agent ./device_agent
COPY search_client ./search_client
COPY migrations ./migrations
RUN pip install --no-cache-dir --constraint constraints.txt '.[server]' \
    && useradd --system --create-home profiler \
    && install -d -o profiler /data

USER profiler
VOLUME /data
EXPOSE 8600
CMD ["profiler-server", "serve", "--host", "0.0.0.0"]
