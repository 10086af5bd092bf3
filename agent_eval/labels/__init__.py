"""What people say of runs: labels beside a transcript, and which of two answers is better.

    label       the kinds of labels, and what each must say
    appending   files that many write at once, and that lose nothing when one of them dies
    kept        labels of a run, on disk
    settled     from what each reviewer said to what people say
    blind       who sees what, and when
    compared    graders beside people, over a folder of runs
    preferring  which of two answers is better, without names

Nothing here touches a transcript or what graders wrote.
"""
