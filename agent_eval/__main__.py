"""`python -m agent_eval` is the command `agent-eval`."""

from agent_eval.cli import main

main()
