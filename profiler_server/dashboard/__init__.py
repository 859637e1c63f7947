"""What people see of the server: pages for browsers under `/dashboard`.

A page is an endpoint of a module of `endpoints`, listed in `endpoints.ROUTERS`, that reads
through the domains' services and returns `rendering.page(request, "NAME.html.j2", ...)`. Who may
see it is a parameter of one of the types of `dependencies`; every form posts `csrf_field()`.
"""
