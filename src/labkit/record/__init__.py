"""The run record: one folder a run, written so that nothing is lost and read so that nothing is made up."""
