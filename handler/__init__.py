"""lambda-rerank: a query and its candidate passages go in, the passages come back scored and ordered."""

import os

from handler import imports

# Before anything that reads them is imported. onnxruntime, from 1.29 on, would create a database and a device id under
# the home directory and start an upload thread; the tokenizers library a pool of threads; numpy's OpenBLAS a thread
# for every core but one.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

imports.install()
