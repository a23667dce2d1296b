"""What the workflows for GitHub Actions are made of, as text; `github` puts it together.

Each action is pinned by its digest. A newer pin in a workflow stays, whoever put it there.
"""

CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
PYTHON = "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0"
CACHE = "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"
DOWNLOAD = "actions/download-artifact@634f93cb2916e3fdff6788551b99b062d0335ce0 # v5.0.0"
ATTEST = "actions/attest-build-provenance@977bb373ede98d70efdf65b84cb5f73e068dcc2a # v3.0.0"
PYPI = "pypa/gh-action-pypi-publish@ed0c53931b1dc9bd32cbe73a98c7f6766f8a527e # v1.13.0"

HEAD = """\
# When, with which rights, and nothing else: order, gates and budgets stand in delivery.toml.
name: delivery
on:
  push:
  pull_request:
  workflow_dispatch: # on demand: any branch, all the way
{schedule}permissions: {{}}
concurrency: # every commit is tested; of a pull request only the newest
  group: delivery-${{{{ github.event_name == 'pull_request' && github.ref || github.run_id }}}}
  cancel-in-progress: true
env:
  DELIVERY_BY: ${{{{ github.actor }}}}
  DELIVERY_LEDGER_REMOTE: origin
  DELIVERY_VIA: github
jobs:
"""
SCHEDULE = """\
  schedule: # what was published about dependencies since
    - cron: "41 4 * * *"
"""
BUTTONS = """\
# Buttons: back to the release before, or to a chosen version; and a version that waits, live.
name: operate
on:
  workflow_dispatch:
    inputs:
      what:
        description: what to do
        type: choice
        options: [rollback, deploy]
      environment:
        description: where
        type: choice
        options: [{environments}]
      version:
        description: which version; rollback takes the one before, deploy the commit's own
        type: string
      reason:
        description: why; the ledger keeps it
        required: true
        type: string
permissions: {{}}
concurrency: # the lock of the stages that deploy there
  group: ${{{{ inputs.environment }}}}
  cancel-in-progress: false
jobs:
  operate:
    name: ${{{{ inputs.what }}}}
    if: github.ref == 'refs/heads/{branch}'
    runs-on: {runner}
    timeout-minutes: {minutes}
    permissions:
      contents: write # the ledger is a ref of this repository
    environment: ${{{{ inputs.environment }}}}
    env:
      DELIVERY_BY: ${{{{ github.actor }}}}
      DELIVERY_LEDGER_REMOTE: origin
      DELIVERY_VIA: github
    steps:
{begin}      - name: ${{{{ inputs.what }}}}
        env:
          WHAT: ${{{{ inputs.what }}}}
          ENVIRONMENT: ${{{{ inputs.environment }}}}
          VERSION: ${{{{ inputs.version }}}}
          REASON: ${{{{ inputs.reason }}}}
{secrets}        run: |
          if [ "$WHAT" = rollback ]; then
            set -- rollback "$ENVIRONMENT" ${{VERSION:+--to "$VERSION"}}
          else
            set -- deploy "$ENVIRONMENT" ${{VERSION:+"$VERSION"}}
          fi
          python3 -m delivery "$@" --reason "$REASON"
{end}"""
# Steps of the same job: they see its files, and nothing that the job is not given.
BEGIN = """\
name: begin
description: Python, and what was kept for this job
inputs:
  cache:
    description: take packages from the last run, and keep them for the next one
    default: "false"
  dist:
    description: take the artifact that was built
    default: "false"
  events:
    description: take what the jobs before recorded
    default: "false"
runs:
  using: composite
  steps:
    - uses: {python}
      with:
        python-version: "{version}"
    - uses: {cache}
      if: inputs.cache == 'true'
      with:
        path: |
          ~/.cache/pip
          ~/.cache/uv
          ${{{{ runner.environment == 'github-hosted' && '~/.cache/delivery' || '' }}}}
        key: ${{{{ runner.os }}}}-{version}-${{{{ hashFiles('requirements/*') }}}}
    - uses: {download}
      if: inputs.dist == 'true'
      with:
        name: dist
        path: dist
    - uses: {download}
      if: inputs.events == 'true'
      with:
        pattern: job-*
        path: .delivery
        merge-multiple: true
"""
END = """\
name: end
description: what was recorded, kept for the jobs to come and for people
inputs:
  board:
    description: show the board on the page of this run
    default: "false"
runs:
  using: composite
  steps:
    - if: always() && inputs.board == 'true'
      shell: bash
      run: |
        {{ echo '```'; python3 -m delivery board; echo '```'; }} >>"$GITHUB_STEP_SUMMARY"
    - uses: {upload}
      if: always()
      with:
        name: job-${{{{ github.job }}}}
        path: |
{kept}        if-no-files-found: ignore
        include-hidden-files: true
        overwrite: true
"""
# Who pressed the button of the environment, as GitHub tells it; nobody did: the gate refuses.
APPROVE = """\
      - name: approve
        env:
          GH_TOKEN: ${{ github.token }}
          WHO: >-
            [.[] | select(.state == "approved" and any(.environments[]; .name == "ENVIRONMENT"))
            | .user | "\\(.login) <\\(.id)+\\(.login)@users.noreply.github.com>"] | last // empty
        run: |
          by=$(gh api "repos/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID/approvals" --jq "$WHO")
          if [ -n "$by" ]; then
            DELIVERY_BY=$by python3 -m delivery approve --environment ENVIRONMENT
          fi
"""
RELEASE = """\
  release:
    name: release
    if: github.ref_type == 'tag'
    needs: [{needs}]
    runs-on: {runner}
    timeout-minutes: 10
    permissions:
      attestations: write # that GitHub built these files
      contents: write # the release
      id-token: write # who GitHub is
    steps:
{dist}      - uses: {attest}
        with:
          subject-path: dist/*
      - name: release
        env:
          GH_REPO: ${{{{ github.repository }}}}
          GH_TOKEN: ${{{{ github.token }}}}
        run: gh release create "$GITHUB_REF_NAME" dist/* --generate-notes --verify-tag
"""
# Trusted publishing: no secret, but the identity that GitHub gives to this job.
PUBLIC = """\
  pypi:
    name: pypi
    if: github.ref_type == 'tag' && vars.PYPI == 'yes'
    needs: [{needs}]
    runs-on: ubuntu-latest
    timeout-minutes: 10
    permissions:
      id-token: write # who GitHub is
    environment: pypi
    steps:
{dist}      - name: leave the papers
        run: mkdir packages && cp dist/*.whl dist/*.tar.gz packages/
      - uses: {pypi}
        with:
          packages-dir: packages
"""
