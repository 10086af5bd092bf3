"""What looks after sandboxes whose harness is gone.

    leash     the harness's end of it: starts it, and says what there is to look after
    __main__  the process: waits at next to no cost until the harness ends
    lost      what it does then: pause, wait out the lease, remove
    closing   how the record of a run ends whose harness is gone; also for `agent-eval reap`

A run that ends properly is taken off the leash. The harness's death is the end of the pipe between
the two, which nobody can forget to send.
"""
