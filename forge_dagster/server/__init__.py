"""The HTTP server of a release: OpenAI's interface, a page to talk on, traces of answers, feedback, metrics."""
