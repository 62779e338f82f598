# ChatGoT in a container, with the server.
#     docker build -t chatgot .
# PyPI's PyTorch for Linux brings CUDA along and runs without a GPU too. A smaller image for CPUs only takes it from
# the index that pytorch.org names for CPUs:
#     docker build -t chatgot:cpu --build-arg TORCH_INDEX=https://... .
FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS build
ARG TORCH_INDEX
RUN python -m venv /opt/chatgot
ENV PATH=/opt/chatgot/bin:$PATH
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} 'torch>=2.10'
WORKDIR /src
COPY setup.py settings.ini README.md ./
COPY nbs nbs
COPY chatgot chatgot
# settings.ini says which versions
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[serve]'

FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
# torch.compile needs a compiler
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 chatgot && install -d -o chatgot /data /data/runs /data/cache
COPY --from=build /opt/chatgot /opt/chatgot
ENV PATH=/opt/chatgot/bin:$PATH CHATGOT_CACHE=/data/cache MPLCONFIGDIR=/tmp PYTHONUNBUFFERED=1
USER 1000
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["chatgot"]
CMD ["--help"]
