"""The locked-down container and the one pipe into it.

    frames      the form of what crosses the pipe
    pipe        both directions of it, as channels
    archive     files on their way in and out
    supervisor  what can be asked of PID 1: run, signal, put, get, freeze, look
    settings    a scenario's wishes as the engine's settings
    engine      Docker: create, attach, start, remove, reap
    audit       asked, stated by the engine, measured inside
    sources     who tells what its kernel does: gvisor, seccomp_record
    recorder    what they tell, on record under the action that caused it
    snapshot    what it is at a moment, for others to begin as: checkpoint, moving
    container   all of it together: one sandbox while it runs
    opening     how it comes up: started or restored, and proven to be locked down

What comes out of the pipe is hostile; everything else here is ours.
"""
