# One slim image for each kind of process: a target holds the packages of its extra in pyproject.toml and the code that
# this process imports, and nothing else. Build one with `docker build --target detection .`, all with `docker compose build`.

FROM python:3.11-slim-bookworm AS base
# An additional package index. Empty, torch comes with CUDA, which needs a few gigabytes more and is what compose.gpu.yml
# expects; an index with CPU builds of torch makes the images of detection, embedding and scoring small.
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HF_HUB_OFFLINE=1
# Large buffers stay with the process. glibc would give them back after every image and take them again, page by page, for
# the next, which shows in the time that finding faces takes. One arena, or each thread that computes keeps its own.
ENV MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=268435456 \
    MALLOC_TRIM_THRESHOLD_=536870912
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin facemem
WORKDIR /app
# Dependencies alone first: they change more rarely than the code, and a layer is reused until they do.
COPY pyproject.toml constraints.txt ./
RUN touch README.md && pip install --constraint constraints.txt ".[tracing]"

FROM base AS migrate
COPY shared shared
COPY migrations migrations
# Backups are made and restored from here, too.
COPY services/__init__.py services/
COPY services/backup services/backup
USER facemem
CMD ["python", "-m", "migrations"]

FROM base AS api
# What captions in other scripts are drawn with: letters of Europe and the Near East, of East Asia.
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-dejavu-core fonts-droid-fallback \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --constraint constraints.txt ".[api,samples]"
COPY shared shared
COPY services/__init__.py services/samples.py services/
COPY services/api services/api
COPY services/export services/export
COPY services/insights services/insights
COPY services/web services/web
USER facemem
CMD ["python", "-m", "services.api"]

FROM base AS flower
RUN pip install --constraint constraints.txt ".[flower]"
COPY shared shared
COPY services/__init__.py services/
COPY services/flower services/flower
USER facemem
CMD ["python", "-m", "services.flower"]

# Looks into what runs: docker compose run --rm doctor
FROM base AS doctor
RUN pip install --constraint constraints.txt ".[doctor]"
COPY shared shared
COPY services/__init__.py services/samples.py services/
COPY services/local services/local
COPY services/cli/__init__.py services/cli/options.py services/cli/durations.py services/cli/terminal.py services/cli/
COPY services/cli/doctor services/cli/doctor
USER facemem
CMD ["python", "-m", "services.cli.doctor"]

FROM base AS dispatcher
RUN pip install --constraint constraints.txt ".[dispatcher]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/dispatcher workers/dispatcher
USER facemem
CMD ["python", "-m", "workers.dispatcher"]

FROM base AS intake
RUN pip install --constraint constraints.txt ".[intake]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/intake workers/intake
USER facemem
CMD ["python", "-m", "workers.intake"]

FROM base AS detection
RUN pip install --constraint constraints.txt ".[detection,openvino]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/detection workers/detection
USER facemem
CMD ["python", "-m", "workers.detection"]

FROM base AS captioning
RUN pip install --constraint constraints.txt ".[captioning]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/captioning workers/captioning
USER facemem
CMD ["python", "-m", "workers.captioning"]

FROM base AS embedding
RUN pip install --constraint constraints.txt ".[embedding]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/embedding workers/embedding
USER facemem
CMD ["python", "-m", "workers.embedding"]

FROM base AS scoring
RUN pip install --constraint constraints.txt ".[scoring]"
COPY shared shared
COPY workers/__init__.py workers/health.py workers/
COPY workers/scoring workers/scoring
USER facemem
CMD ["python", "-m", "workers.scoring"]
