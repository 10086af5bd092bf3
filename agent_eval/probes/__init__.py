"""Small, smooth measures of capability that forecasts are made of: files of tasks and exams.

    file     reads a probe from JSON lines
    code     code tasks: what the model is asked, what is run, what its output says
    choice   exams: what the model is asked, and which option it chose

Pure functions of texts; `run.probing` has them asked and run.
"""
