# CPU:   docker build -t facemix .
# With what else is optional, as PostgreSQL: --build-arg EXTRAS=heif,openvino,video,postgres; EXTRAS= leaves all of it out.
# CUDA:  docker build -t facemix --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=heif,openvino,video
WORKDIR /src
RUN python -m venv /opt/facemix
COPY .ci/constraints.txt .ci/constraints.txt
RUN /opt/facemix/bin/pip install --no-cache-dir -c .ci/constraints.txt --extra-index-url "$TORCH_INDEX" torch
COPY pyproject.toml README.md LICENSE ./
COPY facemix facemix
COPY templates templates
COPY static static
COPY checkpoints checkpoints
RUN /opt/facemix/bin/pip install --no-cache-dir -c .ci/constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 facemix && install -d -o facemix /var/lib/facemix
COPY --from=build /opt/facemix /opt/facemix
USER facemix
WORKDIR /home/facemix
ENV PATH=/opt/facemix/bin:$PATH FACEMIX_HOST=0.0.0.0 FACEMIX_PORT=8000 FACEMIX_DATA_DIR=/var/lib/facemix PYTHONUNBUFFERED=1
VOLUME /var/lib/facemix
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["facemix", "serve"]
