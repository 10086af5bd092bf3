"""What many runs say together, and what small ones foretell of large ones.

    intervals   how far a rate may be off
    clusters    the same, where runs of one scenario are alike
    success     pass@k, the worst variant, errors of graders
    compared    two models on the same scenarios
    agreement   two raters on the same runs
    goals       what needs all of its parts, or one of them
    milestones  the rates of milestones
    bits        how far away a milestone is that is hardly ever reached
    tables      the rates of a run set
    apart       refusals, claims without deeds and lost runs, beside the rates
    written     all tables as CSV and JSON
    answers     the rates of probes
    laws        loss and capability as powers of compute
    problems    pass rates of many problems, and which of them may be foretold
    horizon     how long a task a model does half of the time, and how that grows
    figures     what all of these are fitted to, out of tables and runs
    foretelling fits over figures, and what they foretell
    register    predictions that were made before what they predict
    plots       pictures of rates
    fit_plots   pictures of fits

Pure functions of numbers; only `figures`, `answers`, `register` and those that draw know of files.
"""
