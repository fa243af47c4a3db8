"""As much of AWS Glue's own package as Python shell jobs use: `from awsglue.utils import getResolvedOptions`."""

import sys

from awsglue import options as utils

sys.modules["awsglue.utils"] = utils
