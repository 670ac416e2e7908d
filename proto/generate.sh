#!/bin/sh
# Regenerates the contract in Python from proto/. Called by `make proto`; CI calls it and diffs.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
include=$("$python" -c 'import grpc_tools, pathlib; print(pathlib.Path(grpc_tools.__file__).parent / "_proto")')
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
PATH="$(dirname "$python"):$PATH"
"$python" -m grpc_tools.protoc -I proto -I "$include" \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="quiet:$out" --mypy_grpc_out="quiet,only_async:$out" proto/bashu/v1/*.proto
"$python" -m grpc_tools.protoc -I proto -I "$include" --python_out="$out" --mypy_out="quiet:$out" proto/buf/validate/validate.proto
# protovalidate's options live inside our package, so that `buf` stays free as a top-level name.
find "$out" -name '*.py' -o -name '*.pyi' | xargs sed -i \
    -e 's/^from buf\.validate import/from bashu.vendor.buf.validate import/' \
    -e 's/^import buf\.validate\.validate_pb2/import bashu.vendor.buf.validate.validate_pb2/' \
    -e 's/buf\.validate\.validate_pb2\./bashu.vendor.buf.validate.validate_pb2./g' \
    -e 's/bashu\.vendor\.bashu\.vendor\./bashu.vendor./g'
rm -rf bashu/v1 bashu/vendor
mkdir -p bashu/v1 bashu/vendor/buf/validate
cp "$out"/bashu/v1/* bashu/v1/
cp "$out"/buf/validate/* bashu/vendor/buf/validate/
echo '"""The generated contract, package bashu.v1; made by `make proto`, never edited."""' > bashu/v1/__init__.py
for package in bashu/vendor bashu/vendor/buf bashu/vendor/buf/validate; do
    echo '"""Vendored options of protovalidate, generated."""' > "$package/__init__.py"
done
# Services without an RPC's messages generate empty stubs; an empty module only confuses.
for stub in bashu/v1/*_pb2_grpc.py; do
    grep -q 'class .*Servicer' "$stub" || rm -f "$stub" "${stub}i"
done
