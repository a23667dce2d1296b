"""What Jenkins would refuse in a Jenkinsfile: text that is there, and the fault instead of it."""

FAULTS: dict[str, tuple[str, str]] = {
    "a section that is none": ("    options {", "    option {"),
    "no agent": ("    agent none\n", ""),
    "an agent that is none": ("agent any", "agent some"),
    "a stage twice": ("stage('unit')", "stage('lint')"),
    "a stage without work": ("steps {", "step {"),
    "no step of that name": ("milestone 8", "milestones 8"),
    "a step without what it needs": (
        "checkout([",
        "checkouts([\n$class: 'x'])\nunstash()\necho([\n",
    ),
    "a parameter that is none": ("unit: 'MINUTES'", "units: 'MINUTES'"),
    "a unit that is none": ("unit: 'MINUTES'", "unit: 'MINUTE'"),
    "a time in quotes": ("timeout(time: 6,", "timeout(time: '6',"),
    "an option for the whole, in a stage": (
        "steps {",
        "options { buildDiscarder(1) }\nsteps {",
    ),
    "a condition that is none": ("when { expression {", "when { expressions {"),
    "a post that is none": ("post { always {", "post { ever {"),
    "an environment of statements": ("CI = 'true'", "echo 'true'"),
    "something beside the pipeline": ("pipeline {", "echo 'x'\npipeline {"),
    "a brace that is missing": ("    agent none\n", "    agent none }\n"),
}
