"""What the sentences do, over HTTP and in the browser."""

import re
import urllib.parse
import urllib.request

from behave import given, then, when
from behave.runner import Context
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait


@when('somebody asks for "{path}"')
def ask(context: Context, path: str, form: bytes | None = None) -> None:
    """Get a page, or send a form to it, with the cookie that came with the page before."""
    cookie = {"Cookie": context.cookie} if "cookie" in context else {}
    request = urllib.request.Request(context.url + path, form, cookie)
    with urllib.request.urlopen(request, timeout=10) as answer:
        context.page, context.cookie = answer.read().decode(), answer.headers["Set-Cookie"] or ""


@when('a visitor sends the name "{name}"')
def send(context: Context, name: str) -> None:
    """Send the form, with all that the page hides in it."""
    ask(context, "/")
    hidden = re.findall(r'type="hidden" name="(.+?)" value="(.+?)"', context.page)
    ask(context, "/", urllib.parse.urlencode([*hidden, ("name", name)]).encode())


@then('the page says "{text}"')
def says(context: Context, text: str) -> None:
    """Find the text in the last answer."""
    assert text in context.page, context.page


@given("a visitor who opens the page in a browser")
def open_page(context: Context) -> None:
    """Open the page in the browser."""
    context.driver.get(context.url)


@when('the visitor fills in the name "{name}" and presses the button')
def fill_in(context: Context, name: str) -> None:
    """Use the form like a person."""
    context.driver.find_element(By.NAME, "name").send_keys(name)
    context.driver.find_element(By.TAG_NAME, "button").click()


@then('the browser shows "{text}"')
def shows(context: Context, text: str) -> None:
    """Wait until the text is there, on whichever page follows."""
    WebDriverWait(context.driver, 10, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda driver: text in driver.find_element(By.TAG_NAME, "main").text,
        f"the page does not show {text!r}",
    )
