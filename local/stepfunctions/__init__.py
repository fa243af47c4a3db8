"""AWS Step Functions for JSONata state machines: parse, check, run and remember, on one machine.

Reading order, following the Amazon States Language specification (states-language.net) and the developer guide:
`definition` (states and their fields), `checks` (what is refused at creation), `jsonata` (expressions), `interpreter`
(transitions, Pass, Choice, Wait, Succeed, Fail), `errors` and `recovery` (Retry, Catch), `branches` (Parallel, inline
Map), `distributed` with `reader` and `writer` (distributed Map), `tasks` with `integrations` (Task), `history`
(events), `machines` and `executions` (what the API keeps), `service` (the API itself).
"""
