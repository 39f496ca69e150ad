#!/bin/sh
# Takes out of site-packages what a running service never opens: tests, headers, link-time symbols, unused front ends.
set -eu
cd "$1"
rm -rf torch/test torch/include torch/share torch/lib/*test* torch/lib/libbackend_with_compiler.so
find torch/bin -type f ! -name torch_shm_manager -delete 2>/dev/null || true
rm -rf pyarrow/include pyarrow/tests pyarrow/src pyarrow/*flight*
rm -rf feast/ui sklearn/*/tests
# Feast asks for SQLAlchemy[mypy]: a type checker, which nothing runs here.
rm -rf mypy mypyc ./*__mypyc.*.so
find . -type d \( -name tests -o -name test \) \( -path './numpy/*' -o -path './scipy/*' -o -path './pandas/*' -o -path './sympy/*' \
  -o -path './networkx/*' -o -path './ibis/*' -o -path './dask/*' -o -path './sklearn/*' -o -path './mlflow/*' \) -prune -exec rm -rf {} +
# Only libraries that pip did not repack: those of *.libs break when they are stripped.
for library in torch/lib/*.so _polars_runtime_32/*.so pyarrow/*.so.* pyarrow/*.so qdrant_edge/*.so; do
  [ ! -f "$library" ] || strip --strip-unneeded "$library"
done
# Byte code of what starts often; of the largest packages it would cost more disk than it saves time.
find . -name __pycache__ -prune -exec rm -rf {} +
python -m compileall -q -j 0 -x '/(torch|sympy|networkx|onnx|onnxscript|polars|ibis|sqlglot|dask|feast|matplotlib|pyarrow|pandas|scipy|sqlalchemy|databricks)/' .
# What was taken out is not missed: whatever is here still loads.
for package in numpy scipy pandas pyarrow polars torch onnx onnxruntime lightgbm implicit qdrant_edge duckdb feast mlflow; do
  [ ! -d "$package" ] || OMP_NUM_THREADS=1 LD_LIBRARY_PATH=/opt/libraries /opt/cascade/bin/python -W ignore -c "import $package"
done
