"""cluster.proto: re-exports for the API's assembly and the client's reading of `status`."""

from orchestrix_raft.wire.v1 import cluster_pb2 as pb

NodeStatus = pb.NodeStatus
QueueStatus = pb.QueueStatus
StatusRequest = pb.StatusRequest
StatusResponse = pb.StatusResponse
TransferLeadershipRequest = pb.TransferLeadershipRequest
TransferLeadershipResponse = pb.TransferLeadershipResponse
