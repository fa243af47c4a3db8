"""Does what its event asks for, so that tests can see how the embedded cloud runs functions."""

import json
import os
import sys
import time

import boto3
import shared


class OwnError(Exception):
    pass


def handler(event, context):
    if "Records" in event:
        for record in event["Records"]:
            act({**json.loads(record["body"]), "group": record["attributes"].get("MessageGroupId")}, context)
        return {"batchItemFailures": []}
    return act(event, context)


def act(event, context):
    match event.get("do"):
        case "put":
            item = {"pk": {"S": event["pk"]}, "said": {"S": json.dumps(event)}, "begun": {"N": repr(time.time())}}
            time.sleep(event.get("seconds", 0))
            item["ended"] = {"N": repr(time.time())}
            boto3.client("dynamodb").put_item(TableName=os.environ["TABLE"], Item=item)
            return {"put": event["pk"]}
        case "look":
            return {
                "pid": os.getpid(),
                "modules": [name for name in event["modules"] if importable(name)],
                "shared": shared.NAME,
                "revision": os.environ["REVISION"],
                "remaining": context.get_remaining_time_in_millis(),
                "environment": sorted(os.environ),
                "request_id": context.aws_request_id,
            }
        case "raise":
            raise OwnError(event.get("text", "on purpose"))
        case "exit":
            sys.exit(3)
        case "sleep":
            time.sleep(event["seconds"])
            return {"slept": event["seconds"], "pid": os.getpid()}
        case "print":
            print(event["text"])
            os.system(f"echo below: {event['text']}")
            return "printed"
        case "odd":
            return {1, 2}
        case "mail":
            attributes = {"audience": {"DataType": "String", "StringValue": event["audience"]}}
            boto3.client("sns").publish(
                TopicArn=os.environ["TOPIC"], Subject=event["subject"], Message="text", MessageAttributes=attributes
            )
            return "sent"
        case "get":
            return boto3.client("dynamodb").get_item(TableName=os.environ["TABLE"], Key={"pk": {"S": event["pk"]}})
        case "forbidden":
            return boto3.client("s3").list_buckets()["Buckets"]
    return event


def importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
