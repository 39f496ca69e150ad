"""The whole stack on this machine: python -m services"""

from services.local.command import main

if __name__ == "__main__":
    main()
