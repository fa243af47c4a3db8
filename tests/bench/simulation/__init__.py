"""The stack in virtual time, in one process and without a socket: what `make bench NAME=jobs` measures with.

`world` is time, and processes in it that may sleep; `wire` carries the calls of boto3 to the embedded cloud, and is
where they are slow, throttled, counted or never come back; `stack` is the deployed template on that cloud; `lambdas`
and `pollers` play Lambda and its event sources; `workload` is what scientists submit and what becomes of it;
`baselines` are the ideal schedule and the published design; `figures` are what is measured. docs/jobs-proof.md says what
is modelled how.
"""
