"""The command line: options in, one workflow call, result out."""
