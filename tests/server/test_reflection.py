"""Reflection: what grpcurl and its like ask."""

from __future__ import annotations

from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.server.support import Api


async def test_the_services_can_be_listed_and_described(api: Api) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="tesseract.v1.SessionService"),
    ]
    answers = [answer async for answer in api.reflection.ServerReflectionInfo(iter(requests))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {
        "tesseract.v1.TableService",
        "tesseract.v1.SessionService",
        "tesseract.v1.HubService",
        "tesseract.v1.DiagnosisService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(raw)
        for raw in answers[1].file_descriptor_response.file_descriptor_proto
    ]
    services = {service.name for file in files for service in file.service}
    assert "SessionService" in services


async def test_reflection_shows_the_public_types_and_not_the_twins(api: Api) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="tesseract.v1.Int64Values")
    answers = [answer async for answer in api.reflection.ServerReflectionInfo(iter([request]))]
    file = descriptor_pb2.FileDescriptorProto.FromString(answers[0].file_descriptor_response.file_descriptor_proto[0])
    message = next(message for message in file.message_type if message.name == "Int64Values")
    assert message.field[0].type == descriptor_pb2.FieldDescriptorProto.TYPE_SFIXED64
