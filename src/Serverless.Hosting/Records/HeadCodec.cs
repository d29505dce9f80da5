using Google.Protobuf;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Hosting.Records;

/// <summary>Heads of logs as records; promise and holder, which change, are kept beside them.</summary>
internal static class HeadCodec
{
    public static byte[] Encode(LogHead head) => new Wire.HeadRecord
    {
        Model = head.Model.Value,
        DeadlineUnixMs = head.Deadline.ToUnixTimeMilliseconds(),
        Organization = head.Owner.Organization,
        Team = head.Owner.Team,
        Key = head.Owner.Key,
        Resumable = head.Resumable,
        Shape = ByteString.CopyFrom(head.Shape.Span),
    }.ToByteArray();

    /// <exception cref="InvalidDataException">It is no head record.</exception>
    public static LogHead Decode(ReadOnlyMemory<byte> bytes, Promise promise, string holder)
    {
        try
        {
            var record = Wire.HeadRecord.Parser.ParseFrom(bytes.Span);
            return new LogHead(new ModelName(record.Model), promise, holder, DateTimeOffset.FromUnixTimeMilliseconds(record.DeadlineUnixMs))
            {
                Owner = new Owner(record.Organization, record.Team, record.Key),
                Resumable = record.Resumable,
                Shape = record.Shape.Memory,
            };
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new InvalidDataException($"The log has a head of {bytes.Length} bytes that is none: {exception.Message}", exception);
        }
    }
}
