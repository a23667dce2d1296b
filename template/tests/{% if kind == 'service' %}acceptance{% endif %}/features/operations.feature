Feature: Operations
  Those who run the service can see how it is.

  Scenario: The service is well, and counts what it does
    When somebody asks for "/healthz"
    Then the page says "ok"
    When somebody asks for "/metrics"
    Then the page says "http_request_seconds_count"
