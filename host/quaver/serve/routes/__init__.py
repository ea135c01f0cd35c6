"""The endpoints of the API, a file an area: each has a tuple ENDPOINTS, and app.py joins them."""
