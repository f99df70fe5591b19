"""cluster.proto: re-exports for the API's assembly and the client's reading of `status`."""

from orchestrix_raft.wire.v1 import cluster_pb2 as pb
from orchestrix_raft.wire.v1 import members_pb2 as members

AddMemberRequest = members.AddMemberRequest
AddMemberResponse = members.AddMemberResponse
NodeStatus = pb.NodeStatus
QueueStatus = pb.QueueStatus
RemoveMemberRequest = members.RemoveMemberRequest
RemoveMemberResponse = members.RemoveMemberResponse
StatusRequest = pb.StatusRequest
StatusResponse = pb.StatusResponse
TransferLeadershipRequest = pb.TransferLeadershipRequest
TransferLeadershipResponse = pb.TransferLeadershipResponse
