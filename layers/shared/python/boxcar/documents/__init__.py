"""Documents for the asynchronous endpoint: sent once each, answered once each. See docs/async.md."""
