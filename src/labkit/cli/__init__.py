"""The command line: thin modules that parse first and import the work afterwards."""
