"""The warehouse that the deployed stack reads and writes."""

from cli import retailer
from cli.session import Session


def warehouse(session: Session) -> retailer.Warehouse:
    """As the stack's outputs name it."""
    outputs = session.outputs
    return retailer.Warehouse(
        s3=session.client("s3"),
        data=session.client("redshift-data"),
        bucket=outputs["BucketName"],
        database=outputs["RedshiftDatabaseName"],
        workgroup=outputs["RedshiftWorkgroupName"],
        cluster=outputs["RedshiftClusterIdentifier"],
        user=outputs["RedshiftUserName"],
        role=outputs["WarehouseRoleArn"],
    )
