"""Days, and how many were greeted on each."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The first table."""

    operations = [
        migrations.CreateModel(
            name="Day",
            fields=[
                ("date", models.DateField(primary_key=True, serialize=False)),
                ("greetings", models.PositiveIntegerField(default=0)),
            ],
        ),
    ]
