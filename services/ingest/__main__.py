from services.ingest.service import SERVICE
from services.runtime.server import run

if __name__ == "__main__":
    run(SERVICE)
