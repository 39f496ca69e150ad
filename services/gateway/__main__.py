"""python -m services.gateway"""

from services.gateway.server import run

run()
