from services.reranker.service import SERVICE
from services.runtime.server import run

run(SERVICE)
