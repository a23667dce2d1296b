Feature: Operations
  Those who run the service can see how it is.

  Scenario: The service is well
    When somebody asks for "/healthz"
    Then the page says "ok"

  Scenario: The service counts what it does
    Given somebody asked for "/healthz"
    When somebody asks for "/metrics"
    Then the page says "http_request_seconds_count"
