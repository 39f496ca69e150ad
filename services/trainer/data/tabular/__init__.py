"""Any data set: a CSV or Parquet file of who turned to what and when, with or without files about items and users.

    imported = import_files(ImportRequest(Path("interactions.csv")), data_dir, Steps())

Read importer.py first: it is the whole story.
"""
