"""CloudWatch metrics, alarms and dashboards, with what other services report of themselves."""
