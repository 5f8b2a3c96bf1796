"""DAX's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class ClusterAlreadyExists(AwsError):
    code = "ClusterAlreadyExistsFault"
    text = "Cluster already exists"


class ClusterNotFound(AwsError):
    code = "ClusterNotFoundFault"
    text = "Cluster not found."


class InvalidARN(AwsError):
    code = "InvalidARNFault"


class InvalidClusterState(AwsError):
    code = "InvalidClusterStateFault"


class InvalidParameterCombination(AwsError):
    code = "InvalidParameterCombinationException"


class InvalidParameterGroupState(AwsError):
    code = "InvalidParameterGroupStateFault"


class InvalidParameterValue(AwsError):
    code = "InvalidParameterValueException"


class InvalidSubnet(AwsError):
    code = "InvalidSubnet"


class NodeNotFound(AwsError):
    code = "NodeNotFoundFault"
    text = "Node not found."


class NodeQuotaForClusterExceeded(AwsError):
    code = "NodeQuotaForClusterExceededFault"
    text = "You have attempted to exceed the maximum number of nodes for a DAX cluster."


class NodeQuotaForCustomerExceeded(AwsError):
    code = "NodeQuotaForCustomerExceededFault"
    text = "You have attempted to exceed the maximum number of nodes for your AWS account."


class ParameterGroupAlreadyExists(AwsError):
    code = "ParameterGroupAlreadyExistsFault"


class ParameterGroupNotFound(AwsError):
    code = "ParameterGroupNotFoundFault"


class ParameterGroupQuotaExceeded(AwsError):
    code = "ParameterGroupQuotaExceededFault"
    text = "You have attempted to exceed the maximum number of parameter groups."


class SubnetGroupAlreadyExists(AwsError):
    code = "SubnetGroupAlreadyExistsFault"


class SubnetGroupInUse(AwsError):
    code = "SubnetGroupInUseFault"


class SubnetGroupNotFound(AwsError):
    code = "SubnetGroupNotFoundFault"


class SubnetGroupQuotaExceeded(AwsError):
    code = "SubnetGroupQuotaExceededFault"
    text = (
        "The request cannot be processed because it would exceed the allowed number of subnets "
        "in a subnet group."
    )


class SubnetInUse(AwsError):
    code = "SubnetInUse"
    text = "The requested subnet is being used by another subnet group."


class SubnetQuotaExceeded(AwsError):
    code = "SubnetQuotaExceededFault"
    text = (
        "The request cannot be processed because it would exceed the allowed number of subnets "
        "in a subnet group."
    )


class TagNotFound(AwsError):
    code = "TagNotFoundFault"
    text = "The tag does not exist."


class TagQuotaPerResource(AwsError):
    code = "TagQuotaPerResourceExceeded"
    text = "You have exceeded the maximum number of tags for this DAX cluster."
