Feature: Greeting
  Whoever comes by is greeted by name.

  Scenario: A visitor gives a name
    When a visitor sends the name "Ada"
    Then the page says "Hello, Ada!"

  @browser
  Scenario: A visitor fills in the form in a browser
    Given a visitor who opens the page in a browser
    When the visitor fills in the name "Grace" and presses the button
    Then the browser shows "Hello, Grace!"
