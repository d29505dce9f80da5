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

    /// <summary>Null where the bytes are no head: nothing can be told of such a log.</summary>
    public static LogHead? Decode(ReadOnlyMemory<byte> bytes, Promise promise, string holder)
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
        catch (Exception exception) when (exception is InvalidProtocolBufferException or ArgumentException)
        {
            return null;
        }
    }
}
