"""The service. `app` has its pages, `ops` what operations asks, `server` what runs it."""
