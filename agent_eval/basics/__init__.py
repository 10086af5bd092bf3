"""What every layer uses: clocks and dates, text for a terminal, messages, the data folders."""
