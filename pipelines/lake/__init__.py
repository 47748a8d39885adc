"""Delta tables in a folder or a bucket as the warehouse: many syncs write to them at once."""
