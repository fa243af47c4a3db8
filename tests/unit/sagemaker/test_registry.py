"""The model registry, lists and tags."""

import pytest

from local.service import ApiError

GROUP = "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/boxcar-mailer"
INFERENCE = {
    "Containers": [{"Image": "1.dkr.ecr.eu-west-1.amazonaws.com/x:1", "ModelDataUrl": "s3://b/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def group(api):
    arn = api.CreateModelPackageGroup(ModelPackageGroupName="boxcar-mailer", Tags=[{"Key": "stack", "Value": "boxcar"}])
    assert arn["ModelPackageGroupArn"] == GROUP
    return "boxcar-mailer"


def package(api, group, **more):
    return api.CreateModelPackage(ModelPackageGroupName=group, InferenceSpecification=INFERENCE, **more)[
        "ModelPackageArn"
    ]


def test_versions_count_up_and_are_never_given_twice(api, group):
    first, second = package(api, group), package(api, group)
    assert (first, second) == (
        "arn:aws:sagemaker:eu-west-1:123456789012:model-package/boxcar-mailer/1",
        "arn:aws:sagemaker:eu-west-1:123456789012:model-package/boxcar-mailer/2",
    )
    api.DeleteModelPackage(ModelPackageName=second)
    assert package(api, group).endswith("/3")


def test_approval_and_metadata(api, cloud, group):
    arn = package(
        api,
        group,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"version": "1.0.0", "old": "x"},
    )
    api.UpdateModelPackage(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="better",
        CustomerMetadataProperties={"score": "0.91"},
        CustomerMetadataPropertiesToRemove=["old"],
    )
    described = api.DescribeModelPackage(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Approved" and described["ApprovalDescription"] == "better"
    assert described["CustomerMetadataProperties"] == {"version": "1.0.0", "score": "0.91"}
    assert described["ModelPackageVersion"] == 1 and described["InferenceSpecification"] == INFERENCE
    event = cloud.wait(lambda e: e["detail"].get("ModelApprovalStatus") == "Approved")
    assert (event["detail-type"], event["resources"]) == ("SageMaker Model Package State Change", [arn])
    assert event["detail"]["CreationTime"].endswith("Z")


def test_a_client_token_makes_one_package(api, group):
    assert package(api, group, ClientToken="t1") == package(api, group, ClientToken="t1")
    assert len(api.ListModelPackages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1


def test_pages_go_through_everything_in_order(api, group):
    arns = [package(api, group, ModelApprovalStatus="Approved" if n % 2 else "Rejected") for n in range(7)]
    seen, token = [], {}
    while True:
        answer = api.ListModelPackages(ModelPackageGroupName=group, MaxResults=3, SortOrder="Descending", **token)
        seen += [p["ModelPackageArn"] for p in answer["ModelPackageSummaryList"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == arns[::-1]
    approved = api.ListModelPackages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [p["ModelPackageVersion"] for p in approved["ModelPackageSummaryList"]] == [2, 4, 6]
    with pytest.raises(ApiError, match="token"):
        api.ListModelPackages(ModelPackageGroupName=group, NextToken="rubbish")


def test_what_does_not_exist_and_what_exists_already(api, group):
    with pytest.raises(ApiError) as error:
        api.CreateModelPackageGroup(ModelPackageGroupName=group)
    assert (error.value.code, error.value.message) == (
        "ValidationException",
        f"Model Package Group already exists: {GROUP}",
    )
    with pytest.raises(ApiError, match="model-package-group/nobody does not exist"):
        api.DescribeModelPackageGroup(ModelPackageGroupName="nobody")
    with pytest.raises(ApiError, match="model-package/boxcar-mailer/9 does not exist"):
        api.DescribeModelPackage(ModelPackageName=GROUP.replace("-group/", "/") + "/9")
    with pytest.raises(ApiError, match="does not exist"):
        package(api, "nobody")


def test_a_group_with_packages_is_kept(api, group):
    arn = package(api, group)
    with pytest.raises(ApiError) as error:
        api.DeleteModelPackageGroup(ModelPackageGroupName=group)
    assert error.value.code == "ConflictException"
    api.DeleteModelPackage(ModelPackageName=arn)
    api.DeleteModelPackageGroup(ModelPackageGroupName=group)
    assert api.ListModelPackageGroups()["ModelPackageGroupSummaryList"] == []


def test_who_made_it(api, group):
    described = api.DescribeModelPackageGroup(ModelPackageGroupName=group)
    assert described["CreatedBy"]["IamIdentity"]["Arn"] == "arn:aws:iam::123456789012:user/anna"


def test_tags(api, group):
    api.AddTags(ResourceArn=GROUP, Tags=[{"Key": "stack", "Value": "other"}, {"Key": "team", "Value": "a"}])
    assert api.ListTags(ResourceArn=GROUP)["Tags"] == [
        {"Key": "stack", "Value": "other"},
        {"Key": "team", "Value": "a"},
    ]
    api.DeleteTags(ResourceArn=GROUP, TagKeys=["stack"])
    assert api.ListTags(ResourceArn=GROUP)["Tags"] == [{"Key": "team", "Value": "a"}]
