"""What it knows how to do, free of anything around it: a pure function, easy to test."""


def greet(name: str, greeting: str = "Hello") -> str:
    """Greet someone by name; without a name, greet the world.

    >>> greet("Ada")
    'Hello, Ada!'
    >>> greet("  Grace   Hopper ", greeting="Good morning")
    'Good morning, Grace Hopper!'
    >>> greet("")
    'Hello, world!'
    """
    return f"{greeting}, {' '.join(name.split()) or 'world'}!"
