# A server for a trained classifier, on a CPU: docs/recipes.md, "Docker".
FROM python:3.12-slim

# Without an index of their own torch and torchvision bring some gigabytes of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch>=2.10" "torchvision>=0.25"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY pytorchvideo pytorchvideo
COPY flash flash
# FFmpeg and other libraries are in the wheels; libstdc++ and zlib, which these need, are in the image.
RUN pip install --no-cache-dir ".[serve]"

RUN useradd --create-home --uid 1000 app
USER 1000
WORKDIR /home/app

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/health', timeout=4)"]
ENTRYPOINT ["pytorchvideo"]
CMD ["serve", "--host", "0.0.0.0", "--model", "/models/run"]
