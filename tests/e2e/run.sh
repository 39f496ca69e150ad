#!/usr/bin/env bash
# Builds and boots the stack as a project of its own on ports of its own, runs tests/e2e against it, takes it down.
#   KEEP=1 leaves it running.   Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=cascade-e2e
export COMPOSE_FILE=docker-compose.yml:tests/e2e/compose.yml
export CASCADE_GATEWAY_PORT=18000 CASCADE_LLM_PORT=18001 CASCADE_MLFLOW_PORT=15000 CASCADE_PROMETHEUS_PORT=19090 CASCADE_SPANS_PORT=14318
export CASCADE_DATASET="${CASCADE_DATASET:-ml-100k}"
# Where a vector server without gRPC and HNSW takes the place of Qdrant, a search costs it 25 ms of processor time: two at
# once on busy cores are late after 60 ms again and again, which says nothing of what was restarted. Retrieval has 100.
export CASCADE_SOURCE_DEADLINE_MS="${CASCADE_SOURCE_DEADLINE_MS:-90}"
# Every five thousand shown items a run would start and be rolled out, while what is restarted is watched for answers that
# are late: on two cores they are late of that alone.
export CASCADE_LEARN_MINUTES=10080 CASCADE_LEARN_EXAMPLES=0
export CASCADE_OTLP_URL=http://spans:4318 CASCADE_TRACE_SHARE=0.1

down() {
  status=$?
  if [ "$status" -ne 0 ]; then
    docker compose ps --all
    docker compose logs --no-color --tail 40
  fi
  [ -n "${KEEP:-}" ] || docker compose --profile '*' down --volumes --timeout 5
  exit "$status"
}
trap down EXIT

docker compose --profile '*' down --volumes --timeout 5 > /dev/null 2>&1 || true
docker compose --progress quiet build
docker compose up --detach --wait --wait-timeout 900
docker compose up --detach --wait prometheus

CASCADE_E2E_URL=http://127.0.0.1:$CASCADE_GATEWAY_PORT \
CASCADE_E2E_LLM_URL=http://127.0.0.1:$CASCADE_LLM_PORT \
CASCADE_E2E_COMPOSE="docker compose" \
CASCADE_E2E_SPANS_URL=http://127.0.0.1:$CASCADE_SPANS_PORT \
CASCADE_E2E_PROMETHEUS_URL=http://127.0.0.1:$CASCADE_PROMETHEUS_PORT \
  "${PYTHON:-.venv/bin/python}" -m pytest -m e2e tests/e2e "$@"
