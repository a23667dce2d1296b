"""Write cookiecutter.json, Cookiecutter's view of the questions in copier.yml.

Run `python hooks/cookiecutter_json.py` after a change of a question.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Cookiecutter takes every answer on a command line for a template. With marks that no answer
# holds (copier.yml refuses control characters), answers stay what they are.
VARIABLE = "{{hand-to-copier"
MARKS = {
    "variable_start_string": VARIABLE,
    "block_start_string": "\x01",
    "comment_start_string": "\x02",
}
FOLDER = VARIABLE + " cookiecutter.project_name | slugify(max_length=60) or 'project'}}"


def cookiecutter_json(copier_yml: str) -> str:
    """Turn the questions of a copier.yml into the text of a cookiecutter.json."""
    questions: dict[str, Any] = yaml.safe_load(copier_yml)
    asked: dict[str, Any] = {}
    prompts: dict[str, Any] = {}
    unasked: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    multiselect, computed = [], []
    for name, question in questions.items():
        if name.startswith("_") or question.get("when") is False:
            continue
        if question.get("multiselect"):
            multiselect.append(name)
        if "when" in question:
            (kinds[name],) = re.findall(r"\A{{ kind == '(\w+)' }}\Z", question["when"])
        if not question.get("ask", True):
            # Cookiecutter asks for no name that begins so; its command line may still give it.
            unasked[f"_{name}"] = ""
            continue
        default, choices = question["default"], question.get("choices") or []
        pairs = choices.items() if isinstance(choices, dict) else zip(choices, choices, strict=True)
        labels = {value: label for label, value in pairs}
        asked[name], prompts[name] = default, question["help"]
        if question.get("multiselect"):
            asked[name] = ",".join(default)
            prompts[name] += f' (of {", ".join(labels)}; "," between several, "," alone for none)'
        elif choices:
            asked[name] = sorted(labels, key=lambda value: value != default)
            prompts[name] = {"__prompt__": prompts[name], **labels}
        elif isinstance(default, str) and "{{" in default:
            computed.append(name)
            asked[name] = ""
            prompts[name] += " (nothing: made from the other answers)"
        if name == "project_name":
            asked["project_slug"], prompts["project_slug"] = FOLDER, "In which folder?"
    private: dict[str, Any] = {
        "_multiselect": multiselect,
        "_computed": computed,
        "_kinds": kinds,
        "_unasked": list(unasked),
    }
    private |= {**unasked, "_jinja2_env_vars": MARKS}
    return json.dumps({**asked, **private, "__prompts__": prompts}, indent=2) + "\n"


if __name__ == "__main__":
    text = cookiecutter_json((ROOT / "copier.yml").read_text(encoding="utf-8"))
    (ROOT / "cookiecutter.json").write_text(text, encoding="utf-8")
