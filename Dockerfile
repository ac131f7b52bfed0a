# archsearch in a container, for CPUs unless DEVICE says gpu:
#
#   docker build --tag archsearch .
#   docker run --rm --volume "$PWD:/work" archsearch run study.yaml
#
#   docker build --tag archsearch:gpu --build-arg DEVICE=gpu .
#   docker run --rm --gpus all --volume "$PWD:/work" archsearch:gpu run study.yaml
#
# A GPU wants NVIDIA's driver and container toolkit on the host; torch brings the rest of CUDA.
FROM python:3.11-slim-bookworm

ARG DEVICE=cpu
WORKDIR /opt/archsearch
COPY constraints.txt ./
RUN if [ "$DEVICE" = cpu ]; then index=https://download.pytorch.org/whl/cpu; else index=https://pypi.org/simple; fi \
 && pip install --no-cache-dir --constraint constraints.txt --index-url "$index" --extra-index-url https://pypi.org/simple torch

COPY pyproject.toml README.md LICENSE ./
COPY archsearch ./archsearch
COPY search_spaces ./search_spaces
RUN pip install --no-cache-dir --constraint constraints.txt '.[onnx,postgresql]'

# Run folders and mlflow.db are written here; what is mounted here outlives the container.
WORKDIR /work
ENTRYPOINT ["archsearch"]
CMD ["--help"]
