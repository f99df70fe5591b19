"""backup.proto: re-exports for the API's assembly and the client's reading."""

from orchestrix_raft.wire.v1 import backup_pb2 as pb

BackupInfo = pb.BackupInfo
BackupPiece = pb.BackupPiece
BackupRequest = pb.BackupRequest
GetContentsRequest = pb.GetContentsRequest
GetContentsResponse = pb.GetContentsResponse
MarkContentsRequest = pb.MarkContentsRequest
MarkContentsResponse = pb.MarkContentsResponse
