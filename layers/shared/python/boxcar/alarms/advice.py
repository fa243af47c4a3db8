"""Every error name of the system: who can mend it, what it means, what Boxcar did by itself, and what to do now.

This table is the routing. Whoever adds an error adds a line here, and a test fails until it is done.
"""

import re
from dataclasses import dataclass

SCIENCE = ("science",)
ENGINEERING = ("engineering",)

_NOTHING_STARTED = "Refused the request before anything was started; nothing was changed."
_NOT_RETRIED = "Did not try again: the same request would fail the same way."
_RETRIED = "Tried the call again several times, waiting longer each time, before giving up."


@dataclass(frozen=True)
class Advice:
    """What to tell about one error."""

    audiences: tuple[str, ...]
    meaning: str  # one sentence
    done: str  # what Boxcar did by itself
    action: str  # what the reader should do about a run
    job_action: str = ""  # … about a job of her own, where that differs

    @property
    def for_job(self) -> str:
        """What the reader should do about a job of her own."""
        return self.job_action or self.action


ADVICE = {
    "TriggerError": Advice(
        SCIENCE,
        "The file or call that asked for the run cannot be read, or asks for what does not exist.",
        _NOTHING_STARTED,
        "Correct the field named above and upload the file again; the new upload starts a new run.",
    ),
    "FamilyError": Advice(
        SCIENCE,
        "The family file, or the architecture that it names, is not valid.",
        _NOTHING_STARTED,
        "Correct the field named above, apply the family file again, then start the run again.",
    ),
    "BenchmarkError": Advice(
        ENGINEERING,
        "The benchmark lacks something in the data bucket: the code of its jobs, or a price table that can be read.",
        _NOTHING_STARTED,
        "Do what the message says (`boxcar bench code`, `boxcar prices refresh`), then start the benchmark again.",
    ),
    "StepError": Advice(
        SCIENCE,
        "A step could not be submitted: a reference leads nowhere, or a field is not valid for its kind.",
        _NOT_RETRIED,
        "Correct the step in the architecture or the family file, apply the family again, then start the run again.",
        job_action="Correct the field named above and submit the job again.",
    ),
    "NoRows": Advice(
        SCIENCE,
        "The unload gave fewer rows than the family asks for.",
        "Trained nothing, so that no model learns from an empty or half-loaded table.",
        "Run the query of the family in the warehouse. If the data came late, upload the trigger again once it is in.",
        job_action="Run the query in the warehouse. If the data came late, `boxcar jobs retry` the job once it is in.",
    ),
    "InputError": Advice(
        SCIENCE,
        "The code of the step looked at its data and says that it cannot be used.",
        "Did not try again: the data would be the same.",
        "Look at the labels and columns named above, correct the source or the query, then start the run again.",
        job_action="Look at the data named above, correct its source, then `boxcar jobs retry` the job.",
    ),
    "DocumentRefused": Advice(
        SCIENCE,
        "The asynchronous endpoint would not take the document, so it was not asked.",
        "Put a copy of the document under async/failed/, with the reason beside it.",
        "Correct what is named above and upload the document again under async/input/.",
    ),
    "DocumentFailed": Advice(
        SCIENCE,
        "The asynchronous endpoint had the document and gave no summary.",
        "Put a copy of the document under async/failed/, with the reason beside it.",
        "If the reason is the document, correct it; if it is the endpoint, read its log group "
        "/aws/sagemaker/Endpoints/<endpoint>. Then upload the document again under async/input/.",
    ),
    "CountMismatch": Advice(
        ENGINEERING,
        "Rows got lost, or came twice, between two steps of an inference run.",
        "Loaded nothing of that model: the warehouse is as it was before.",
        "See in the report where the numbers part. A key that comes twice is a join in inference.query; otherwise read "
        "the log of the job between the two numbers, then start the run again.",
    ),
    "TooManyRejects": Advice(
        SCIENCE,
        "More rows cannot be predicted than the family allows.",
        "Predicted nothing. The rejected rows lie in the bucket, each with its reason.",
        "Look at the rows at the place named above. Correct the source, or inference.query; if they are as they should "
        "be, raise inference.rejects in the family file. Then start the run again.",
    ),
    "NoApprovedVersion": Advice(
        SCIENCE,
        "The model has no approved version to predict with.",
        "Left the model out of the run.",
        "Train the family, or approve a version that waits for a decision. The next run makes up for this one.",
    ),
    "Drift": Advice(
        SCIENCE,
        "What a model sees, or says, is no longer what it was trained on.",
        "Loaded the predictions all the same.",
        "Look at the pictures in the report. If the market has changed, train the family; if the source has, mend it.",
    ),
    "AlgorithmError": Advice(
        SCIENCE,
        "The code of the step ended with an error.",
        "Tried it again as often as the step allows, then gave up.",
        "Read the end of the job's log, correct the code of the architecture, apply the family, start the run again.",
        job_action="Read the end of `boxcar jobs logs`, correct the code, and submit it under another name.",
    ),
    "ClientError": Advice(
        SCIENCE,
        "The service refused the job as it was described, or could not read its input.",
        _NOT_RETRIED,
        "Compare the message above with the step in the architecture or the family file: image, instance type, inputs.",
        job_action="Correct image, instance type or inputs in the job file; submit it under another name.",
    ),
    "TimeLimitExceeded": Advice(
        SCIENCE,
        "The job ran longer than its max_runtime_s and was stopped.",
        "Stopped the job. Did not try again: it would take as long.",
        "Raise max_runtime_s of the step, give it a larger instance type, or let it do less; then start the run again.",
        job_action="Raise max_runtime_s, ask for a larger machine, or let it do less; submit it under another name.",
    ),
    "VersionNotApproved": Advice(
        SCIENCE,
        "Only an approved version can be released.",
        "Released nothing: what served before serves on.",
        "Approve the version, or release the approved one; docs/release.md.",
    ),
    "ReleaseRefused": Advice(
        ENGINEERING,
        "SageMaker does not take the model, the endpoint's configuration or the endpoint as it is described.",
        "Removed what was made for the release. What served before serves on.",
        "Compare the message above with the model's serving in the family file. Is the image in its registry, may the "
        "endpoint's role read it, is the quota of the instance type large enough? Then release again.",
    ),
    "EndpointBusy": Advice(
        ENGINEERING,
        "The endpoint kept changing for another reason: it was scaled, or somebody updated it by hand.",
        _RETRIED,
        "See in SageMaker what happens to the endpoint; when it is in service, release again.",
    ),
    "EndpointFailed": Advice(
        ENGINEERING,
        "SageMaker could not make the endpoint.",
        "Removed what was made for the release.",
        "Read the log group /aws/sagemaker/Endpoints/<endpoint>: most likely the container did not start. Correct it, "
        "then release again.",
    ),
    "RolledBack": Advice(
        ("science", "engineering"),
        "The new version did not do well while it took over, so SageMaker gave the requests back to the one before.",
        "The version before serves again. Removed what was made for the release.",
        "The reason above names the alarm, or what did not start. Look at the endpoint's log and captured requests; "
        "`boxcar models rollback` keeps the version from being released again.",
    ),
    "SmokeTestFailed": Advice(
        SCIENCE,
        "The version was deployed, and does not answer requests whose answers are known as it should.",
        "Put the version before back in its place; an endpoint that had none was removed.",
        "Compare the answers above with serving.smoke in the family file: is the code that serves the one that was "
        "evaluated? Then release again, or `boxcar models rollback`.",
    ),
    "TrialLost": Advice(
        SCIENCE,
        "The new version did worse than the one that is live while both were tried, or a person ended the trial.",
        "All requests go to the version before. Removed what was made for the trial.",
        "Read the report named above. `boxcar models rollback` keeps the version from being tried again; without "
        "serving.shadow and serving.split it would be released without a trial.",
    ),
    "TrialInconclusive": Advice(
        SCIENCE,
        "The trial of the new version is over, and nothing can be said of which is better.",
        "All requests go to the version before. Removed what was made for the trial.",
        "Read the report named above. Give the trial more hours, a larger share or a smaller minimum in the family "
        "file, apply it and release again.",
    ),
    "EvaluationError": Advice(
        SCIENCE,
        "The figures of a candidate or of the approved version cannot be read, so nothing could be judged.",
        "Registered nothing.",
        "Look at the evaluation.json named above; the evaluate step must write it in the form of docs/verdicts.md.",
    ),
    "Stopped": Advice(
        SCIENCE,
        "Somebody stopped the job.",
        "Ended the step without trying again.",
        "If it was you, nothing. Otherwise ask who did; start the run again to repeat it.",
        job_action="If it was you, nothing. Otherwise ask who did; `boxcar jobs retry` begins it again.",
    ),
    "Quarantined": Advice(
        ENGINEERING,
        "The job, or whoever tried to start it, died again and again.",
        "Stopped trying, so that it takes nothing else down with it.",
        "Read the logs of the attempts and of launch-jobs: most often it is memory. Then `boxcar jobs retry` it.",
    ),
    "CapacityTimeout": Advice(
        ENGINEERING,
        "AWS had no such machine for the job within its max_wait_s, or the account's limit is used up.",
        "Waited, tried again with growing pauses and every fallback instance type, then gave up.",
        "Ask for a higher quota of the instance type named above, or add fallbacks to the step's instance_types.",
        job_action="Submit it with more instance_types or a longer max_wait_s, or ask for a higher quota and retry it.",
    ),
    "CapacityError": Advice(
        ENGINEERING,
        "AWS has no machine of this type at the moment.",
        "Tried again with growing pauses and every fallback instance type.",
        "Add fallbacks to the step's instance_types, or start the run again later.",
    ),
    "AccessDenied": Advice(
        ENGINEERING,
        "A role lacks a permission. The message names who wanted to do what to which resource.",
        "Did not try again: only a changed policy helps.",
        "Allow that action on that resource for that role in template.yaml, deploy, then restart the run.",
        job_action="Allow it for that role in template.yaml, deploy, then `boxcar jobs retry` the job.",
    ),
    "Throttled": Advice(
        ENGINEERING,
        "AWS asked to slow down, longer than Boxcar was willing to wait.",
        _RETRIED,
        "See in Service Quotas which rate was reached; raise it, or start fewer runs at once. Then restart the run.",
    ),
    "ServiceFault": Advice(
        ENGINEERING,
        "A call to AWS was answered with an error that Boxcar has no name for.",
        _RETRIED,
        "Look the code up in the service's API reference, and look at the AWS health page; then restart the run.",
    ),
    "InternalServerError": Advice(
        ENGINEERING,
        "AWS had a fault of its own.",
        "Tried again several times, without counting it against the job's own attempts.",
        "Look at the AWS health page, then restart the run.",
        job_action="Look at the AWS health page, then `boxcar jobs retry` the job.",
    ),
    "ImportError": Advice(
        ENGINEERING,
        "A function could not be loaded: its package or a layer lacks something.",
        _NOT_RETRIED,
        "Build and deploy again (`sam build && sam deploy`); see the function's log for the missing module.",
    ),
    "UnknownVerdict": Advice(
        ENGINEERING,
        "Compare answered with an outcome that the state machine does not know: they are of different releases.",
        "Registered nothing.",
        "Deploy the stack again, so that functions and state machine are of the same release.",
    ),
    "UnknownAnswer": Advice(
        ENGINEERING,
        "A function answered the state machine with something that it does not know: they are of different releases.",
        "Stopped the run rather than go on with what nobody understands.",
        "Deploy the stack again, so that functions and state machine are of one release; then start the run again.",
    ),
    "AllModelsFailed": Advice(
        SCIENCE,
        "No model of the run could be trained.",
        "Sent one alarm for each model, and a report of the run.",
        "See the alarms of the models.",
    ),
    "NoFigures": Advice(
        ENGINEERING,
        "No cell of the benchmark has figures: everything failed, or could not be measured in this stack.",
        "Wrote the report, which says why of each cell, and mailed its summary.",
        "Correct what the report names most often, then start the benchmark again; compiled models are kept.",
    ),
    "Aborted": Advice(
        ENGINEERING,
        "Somebody stopped the run.",
        "Left every approved version in place, and stopped the jobs of the run.",
        "If it was you, nothing. Otherwise see in CloudTrail who called StopExecution; start the run again.",
    ),
    "States.Timeout": Advice(
        ENGINEERING,
        "A state waited longer than it may: no answer came for its task.",
        "Gave up waiting. The job itself may still run.",
        "See in the execution which state it was, in the log of monitor-jobs why no answer came; then restart the run.",
    ),
    "States.HeartbeatTimeout": Advice(
        ENGINEERING,
        "A task stopped sending signs of life.",
        "Gave up waiting.",
        "See in the execution which state it was; then restart the run.",
    ),
    "States.DataLimitExceeded": Advice(
        ENGINEERING,
        "A state's input or output was larger than 256 KiB.",
        _NOT_RETRIED,
        "See in the execution which state it was. Large results belong in S3, with their address in the output.",
    ),
    "States.QueryEvaluationError": Advice(
        ENGINEERING,
        "An expression in the state machine could not be evaluated: it met data of a shape that it does not expect.",
        _NOT_RETRIED,
        "See in the execution which state it was; correct the expression in statemachines/ and deploy.",
    ),
    "States.Permissions": Advice(
        ENGINEERING,
        "The role of the state machine lacks a permission.",
        "Did not try again: only a changed policy helps.",
        "Allow what the message names for the machine's role in template.yaml, deploy, then restart the run.",
    ),
    "States.Runtime": Advice(
        ENGINEERING,
        "The state machine met something that it cannot carry out.",
        _NOT_RETRIED,
        "See in the execution which state it was; correct statemachines/ and deploy, then start the run again.",
    ),
    "States.TaskFailed": Advice(
        ENGINEERING,
        "A task failed without saying by which error.",
        _RETRIED,
        "See in the execution which state it was and read the log of its function; then restart the run.",
    ),
    "States.ALL": Advice(
        ENGINEERING,
        "Something failed without a name.",
        _RETRIED,
        "See in the execution which state it was and read the log of its function; then restart the run.",
    ),
    "States.Other": Advice(
        ENGINEERING,
        "Step Functions itself reported an error.",
        _NOT_RETRIED,
        "Look the name up in the Step Functions guide under error names; then restart the run.",
    ),
    "Lambda.Other": Advice(
        ENGINEERING,
        "Lambda could not run a function to its end: it ran out of time or memory, or Lambda had a fault.",
        _RETRIED,
        "Look at the function's log: raise its Timeout or MemorySize if it ran out of either; then restart the run.",
    ),
}

UNKNOWN = Advice(
    ENGINEERING,
    "Boxcar has no name for this error: most likely a fault in Boxcar's own code.",
    _RETRIED,
    "Read the log of the function or job named above; report it with this message. Then restart the run.",
)

_AWS_CALL = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the \w+ operation")
_DENIED = re.compile(r"AccessDenied|not authorized to perform|UnauthorizedOperation", re.I)
_THROTTLED = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|RateExceeded|SlowDown|ProvisionedThroughput", re.I
)
_IMPORTS = {
    "Runtime.ImportModuleError",
    "Runtime.UserCodeSyntaxError",
    "Runtime.HandlerNotFound",
    "ModuleNotFoundError",
}


def canonical_name(error: str, cause: str) -> str:
    """The name under which an error stands in the table.

    botocore calls every refusal of AWS `ClientError`, which SageMaker also uses for faults of the request; Lambda,
    Step Functions and the services each have names of their own for denied and throttled calls.
    """
    call = _AWS_CALL.search(cause)
    if error not in ADVICE or (error == "ClientError" and call):
        code = call["code"] if call else ""
        if _DENIED.search(f"{error} {code}") or "not authorized to perform" in cause:
            return "AccessDenied"
        if _THROTTLED.search(f"{error} {code}"):
            return "Throttled"
        if call:
            return "ServiceFault"
    if error in ADVICE:
        return error
    if error in _IMPORTS:
        return "ImportError"
    # Lambda names its own faults after their place: Sandbox.Timedout, Runtime.ExitError (out of memory).
    families = {
        "States": "States.Other",
        "StepFunctions": "States.Other",  # a call of one machine to another
        "Lambda": "Lambda.Other",
        "Sandbox": "Lambda.Other",
        "Runtime": "Lambda.Other",
    }
    return families.get(error.partition(".")[0], error)


def advice_for(error: str) -> Advice:
    """What to tell about an error, by its canonical name. An unknown one goes to engineering."""
    return ADVICE.get(error, UNKNOWN)
