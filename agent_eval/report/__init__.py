"""A run set as one hands it to a review board: one set of data, as a page or as Markdown.

gather     what is in it, from the runs, their findings and their labels
evidence   the events that findings cite, quoted
written    the two forms, from templates
"""
