"""The gRPC face as messages: generated code and one converter module per .proto file.

The only package that imports generated code.  Converters turn protobuf messages into domain values and
back, without judging them: limits are checked by the API.  Imported by the API and the SDKs.
"""
