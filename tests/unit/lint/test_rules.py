"""A small template that keeps every agreement, and what the rules say when one is broken."""

import pytest

from lint import permissions, rules, template

GOOD = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Days: {Type: Number, Default: 30, Description: How long logs are kept.}
Globals:
  Function: {Runtime: python3.13, Handler: app.handler, Timeout: 30}
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-work"
      Description: Works.
      CodeUri: functions/work/
      LoggingConfig: {LogGroup: !Ref WorkLogs}
      Environment: {Variables: {BOXCAR_BUCKET: !Ref Bucket}}
      Policies:
        - Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Bucket.Arn}/runs/*"}
            - {Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Jobs.Arn}
            - {Effect: Allow, Action: logs:CreateLogDelivery, Resource: "*"}
            - Effect: Allow
              Action: states:SendTaskSuccess
              Resource: !Sub "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${AWS::StackName}-*"
      Events:
        Queue:
          Type: SQS
          Properties: {Queue: !GetAtt Queue.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}
        Removed:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Jobs.StreamArn
            StartingPosition: LATEST
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Given.Arn}}
  WorkLogs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Days}}
  Bucket: {Type: AWS::S3::Bucket}
  Jobs:
    Type: AWS::DynamoDB::Table
    Properties: {TableName: jobs, StreamSpecification: {StreamViewType: OLD_IMAGE}}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
  Dead: {Type: AWS::SQS::Queue}
  DeadAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub "${AWS::StackName}/dead-letters"
      AlarmDescription: Look at the dead.
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt Dead.QueueName}]
  Given: {Type: AWS::SQS::Queue}
  GivenAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub "${AWS::StackName}/given-letters"
      AlarmDescription: Look at the given.
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt Given.QueueName}]
  WorkFailsAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub "${AWS::StackName}-watchdog/work-fails"
      AlarmDescription: Look at the log.
      Metrics:
        - {Id: sum, Expression: errors + throttles}
        - Id: errors
          ReturnData: false
          MetricStat: {Period: 60, Stat: Sum, Metric: {MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref Work}]}}
        - Id: throttles
          ReturnData: false
          MetricStat: {Period: 60, Stat: Sum, Metric: {MetricName: Throttles, Dimensions: [{Name: FunctionName, Value: !Ref Work}]}}
      AlarmActions: [!Ref Watchdog]
  Watchdog: {Type: AWS::SNS::Topic}
  Tick:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: rate(1 minute)
      FlexibleTimeWindow: {Mode: "OFF"}
      Target: {Arn: !GetAtt Queue.Arn, RoleArn: !GetAtt WorkRole.Arn, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}
  Ended:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.states]}
      Targets: [{Id: Queue, Arn: !GetAtt Queue.Arn, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}]
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: machine
      DefinitionUri: statemachines/machine.asl.json
      DefinitionSubstitutions: {WorkArn: !GetAtt Work.Arn}
      Logging: {Level: ERROR, Destinations: [{CloudWatchLogsLogGroup: {LogGroupArn: !GetAtt WorkLogs.Arn}}]}
      Policies:
        - Version: "2012-10-17"
          Statement: [{Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt Work.Arn}]
"""
MACHINE = '{"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "${WorkArn}", "End": true}}}'


@pytest.fixture
def checkout(tmp_path):
    """Lay out a checkout and return a function that applies both checks to it with a changed template."""
    (tmp_path / "functions" / "work").mkdir(parents=True)
    (tmp_path / "functions" / "work" / "app.py").touch()
    (tmp_path / "statemachines").mkdir()
    (tmp_path / "statemachines" / "machine.asl.json").write_text(MACHINE)

    def findings(text=GOOD):
        (tmp_path / "template.yaml").write_text(text)
        template.read.cache_clear()
        return [(found.place, found.message) for found in rules.check(tmp_path) + permissions.check(tmp_path)]

    findings.root = tmp_path
    return findings


def test_a_good_template_passes(checkout):
    assert checkout() == []


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (", Description: How long logs are kept.", "", "Days", "a parameter needs Description"),
        ("Default: 30, ", "", "Days", "a parameter needs Default"),
        (
            "      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}\n",
            "",
            "Queue",
            "RedrivePolicy",
        ),
        ("Value: !GetAtt Dead.QueueName", "Value: other", "Dead", "needs an AWS::CloudWatch::Alarm"),
        ("VisibilityTimeout: 60", "VisibilityTimeout: 20", "Queue", "VisibilityTimeout 20 is below"),
        (", FunctionResponseTypes: [ReportBatchItemFailures]", "", "Work", "ReportBatchItemFailures"),
        (", RoleArn: !GetAtt WorkRole.Arn, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}", "", "Tick", "DeadLetterConfig"),
        (
            "Arn: !GetAtt Queue.Arn, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}]",
            "Arn: a}]",
            "Ended",
            "DeadLetterConfig",
        ),
        (
            "            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Given.Arn}}\n",
            "",
            "WorkRemoved",
            "a stream needs DestinationConfig",
        ),
        (", Timeout: 30", "", "Work", "needs Timeout"),
        ("      Description: Works.\n", "", "Work", "needs Description"),
        ("      LoggingConfig: {LogGroup: !Ref WorkLogs}\n", "", "Work", "needs LoggingConfig"),
        ("RetentionInDays: !Ref Days", "LogGroupName: w", "WorkLogs", "needs RetentionInDays"),
        ("{BOXCAR_BUCKET: !Ref Bucket}", "{DB_PASSWORD: !Ref Days}", "Work", "DB_PASSWORD looks like a secret"),
        ("MetricName: Throttles", "MetricName: Duration", "Work", "needs an AWS::CloudWatch::Alarm on its Throttles"),
        ("      AlarmActions: [!Ref Watchdog]\n", "", "WorkFailsAlarm", "needs AlarmName"),
        ("${AWS::StackName}/dead-letters", "${AWS::StackName}-dead-letters", "DeadAlarm", "needs AlarmName"),
        ("      AlarmDescription: Look at the log.\n", "", "WorkFailsAlarm", "needs AlarmDescription"),
        ("Level: ERROR", 'Level: "OFF"', "Machine", "needs Logging"),
        ("{WorkArn: !GetAtt Work.Arn}", "{}", "Machine", "add it to DefinitionSubstitutions"),
        ("{WorkArn: !GetAtt Work.Arn}", "{WorkArn: a, Idle: b}", "Machine", "does not use ${Idle}"),
        ("CodeUri: functions/work/", "CodeUri: functions/wrk/", "Work", "functions/wrk/ has no app.py"),
        ("Action: s3:GetObject", 'Action: "s3:*"', "WorkRole", "write out the actions"),
        ("Action: s3:GetObject", "Action: s3:GetObjekt", "WorkRole", "unknown action"),
        ('Resource: !Sub "${Bucket.Arn}/runs/*"', 'Resource: "*"', "WorkRole", "name the resource of s3:GetObject"),
        (
            'Resource: !Sub "${Bucket.Arn}/runs/*"',
            "Resource: !GetAtt Bucket.Arn",
            "WorkRole",
            "s3:GetObject takes arn:*:s3:::*/*",
        ),
        ("Resource: !GetAtt Jobs.Arn", 'NotResource: "a"', "WorkRole", "NotResource"),
        (
            "Resource: !GetAtt Jobs.Arn",
            'Resource: !Sub "arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"',
            "WorkRole",
            "is every one of its kind",
        ),
    ],
)
def test_one_agreement_broken(checkout, old, new, place, message):
    assert GOOD.count(old) == 1
    found = checkout(GOOD.replace(old, new))
    assert place in [where for where, said in found if message in said], found


def test_two_functions_with_one_role(checkout):
    work = GOOD[GOOD.index("  Work:\n") : GOOD.index("  WorkLogs:")]
    second = work.replace("  Work:\n", "  Second:\n", 1).replace("-work", "-second")
    shared = second[: second.index("      Policies:")] + "      Role: !GetAtt WorkRole.Arn\n"
    found = checkout(GOOD.replace("  WorkLogs:", shared + "  WorkLogs:", 1))
    assert [where for where, said in found if "shares the role WorkRole" in said] == ["Second"]


def test_a_folder_that_no_function_uses(checkout):
    (checkout.root / "functions" / "idle").mkdir()
    (checkout.root / "functions" / "idle" / "app.py").touch()
    assert checkout() == [("functions/idle", "no function of the template has this CodeUri")]


def test_a_policy_that_lets_in_everybody(checkout):
    policy = """
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument: {Statement: [{Effect: Allow, Principal: "*", Action: s3:GetObject, Resource: a}]}
"""
    assert [where for where, said in checkout(GOOD + policy) if "lets in everybody" in said] == ["BucketPolicy"]


def test_both_sides_of_a_condition_are_looked_at():
    stack = template.Template("template.yaml", {}, {"Resources": {}, "Parameters": {}})
    either = {"Fn::If": ["Wide", "*", ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]]}
    filled = permissions.Samples(stack).fill({"Resource": either, "Action": "s3:GetObject"})
    assert filled == {"Resource": ["*", "arn:aws:s3:::a/*", "arn:aws:s3:::b/*"], "Action": ["s3:GetObject"]}


def test_a_secret_that_a_parameter_may_name_is_looked_at_as_one():
    parameters = {"SlackSecretArn": {"Type": "String", "Default": ""}}
    stack = template.Template("template.yaml", {}, {"Resources": {}, "Parameters": parameters})
    assert permissions.Samples(stack).fill({"Ref": "SlackSecretArn"}).startswith("arn:aws:secretsmanager:")
