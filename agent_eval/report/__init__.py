"""A run set as one hands it to a review board: one set of data, as a page or as Markdown.

gather     what is in it, from the runs, their findings and their labels
read       a run with all that is said of it
asked      what scenarios ask; controls: whether they got the verdicts they must
evidence   the events that findings cite, quoted
written    the two forms, from templates
"""
