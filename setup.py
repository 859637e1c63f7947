"""The one thing of the packages that pyproject.toml cannot say; all else stands there.

The migrations lie at the top of the checkout, and would be a package of a common name among all
others in site-packages. Installed, they are a part of the server.
"""

from setuptools import find_namespace_packages, setup

ROOMS = ("netspec", "profiler_server", "device_agent", "search_client")

setup(
    packages=[
        *find_namespace_packages(include=[f"{room}*" for room in ROOMS]),
        "profiler_server.migrations",
        "profiler_server.migrations.versions",
    ],
    package_dir={"profiler_server.migrations": "migrations"},
)
