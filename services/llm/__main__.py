from services.llm.service import SERVICE
from services.runtime.server import run

run(SERVICE)
