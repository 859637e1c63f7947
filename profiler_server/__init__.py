"""The profiler's service: devices, jobs, leases, measurements and latency tables over HTTP."""
