"""The plant for language models: tools of the Model Context Protocol over the page's API."""
