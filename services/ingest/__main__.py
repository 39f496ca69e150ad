from services.ingest.commands import main

if __name__ == "__main__":
    main()
