"""The review site: people read runs in a browser, and say whether they agree with the graders.

Served from this machine to this machine by `agent-eval view`; `export` writes one run as one file.
Reads run folders and nothing else: neither Docker nor a model's client is imported.

    site       the application: pages by address, behind one door
    door       who is let in: token or cookie, Host, Origin, and the headers of every answer
    rendering  templates, and text from hostile hands made safe to look at
    keeping    the indexes of all runs of a folder, built while people read
    index      the index of one run: what stands where in its transcript, in a file of SQLite
    rows       what the index says of an event: who, what, and under which action it belongs
    asking     questions to an index: pages of a conversation, filters, search
    scanning   the same of what an index has not come to, from the bytes of the transcript
    told       an event in words, as the terminal tells it, ready for a template
    run_pages  pages of one run; runs_pages: of all of them; tailing: of one that goes on
    pictures   what people would rather look at: SVG that is drawn here
    export     one run as one file that opens from disk
    readers    who reads, under which token, and what is kept from whom reads blind
    veil       whose a run is, taken out of what such a reader sees
    forms      what a browser sends, read within limits
    label_pages what people say of a run; pair_pages: which of two is better

**To add pages:** write a module with a list `ROUTES` of `starlette.routing.Route` and add it to
`PAGES` in `site`. An endpoint is a plain function of the request (it runs in a thread), finds the
folder and the indexes in `request.app.state.keeper`, who reads in `request.state.reader` (the name
that belongs to the token; `""` is the person who started the site), and answers with
`rendering.page(request, "name.html", ...)`. Its template lies in `templates/` and extends
`page.html`; scripts and styles stand in files under `static/`, for the policy of the site allows no
other. Names of runs come through `keeper.run(name)`, which is None for all that is none. A write is
a POST: the door has held its Origin against the site's by then. Tokens of more readers go into
`Door.readers` (`site.made(folder, port, readers)`).
"""
