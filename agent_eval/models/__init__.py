"""What answers the agent: a server, a script, or a recording.

    base        the protocol all of them keep, and how an attempt can fail
    openai_chat any OpenAI-compatible server
    wire        one request over HTTP, bounded in time and size
    limiter     how much one server is asked at a time, by all runs together
    endpoint    where a server is, and which key opens it
    control     scripted controls: Python generators that see and react
    replay      the recorded replies of an earlier run
    overflow    what servers say when a request does not fit
    fenced      actions as fenced blocks, for servers without tool calls
    retry       the one place where an attempt is made again
    choose      a model by the name the operator gave

Each is used through `base.Model`; nothing else of the package knows which it is.
"""
