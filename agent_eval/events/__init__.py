"""Every fact that a run can record, one module for each part of it that has facts to tell."""
