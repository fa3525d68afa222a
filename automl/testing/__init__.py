"""For plug-in authors: conformance suites to subclass and synthetic problems to run them on."""
