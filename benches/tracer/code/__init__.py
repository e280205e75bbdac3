"""The code that is traced when tracing is timed: the only files of this bench that are of interest."""
