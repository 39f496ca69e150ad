from services.retrieval.service import SERVICE
from services.runtime.server import run

run(SERVICE)
