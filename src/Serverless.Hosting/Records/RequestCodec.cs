using Google.Protobuf;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Hosting.Records;

/// <summary>Admitted requests as records; the body travels beside the record, byte for byte as the client sent it.</summary>
internal static class RequestCodec
{
    public static Wire.RequestRecord ToRecord(InferenceRequest request) => new()
    {
        Id = request.Id.Value,
        Model = request.Model.Value,
        Kind = (int)request.Kind,
        Resumable = request.Resumable,
        Shape = ByteString.CopyFrom(request.Shape.Span),
        PromptTokens = request.PromptTokens,
        MaxOutputTokens = request.MaxOutputTokens,
        Choices = request.Choices,
        Lane = (int)request.Lane,
        Promise = (int)request.Promise,
        Organization = request.Owner.Organization,
        Team = request.Owner.Team,
        Key = request.Owner.Key,
        Conversation = request.Conversation ?? "",
        Seed = request.Seed,
        AcceptedAtUnixMs = request.AcceptedAt.ToUnixTimeMilliseconds(),
        DeadlineUnixMs = request.Deadline.ToUnixTimeMilliseconds(),
        Holder = request.Holder,
    };

    /// <exception cref="InvalidDataException">A field is missing or out of its range; the message names it.</exception>
    public static InferenceRequest FromRecord(Wire.RequestRecord record, ReadOnlyMemory<byte> body)
    {
        Require(record.Id.Length > 0, "id", record.Id);
        Require(record.Model.Length > 0, "model", record.Model);
        Require(Enum.IsDefined((RequestKind)record.Kind), "kind", record.Kind);
        Require(Enum.IsDefined((Lane)record.Lane), "lane", record.Lane);
        Require(Enum.IsDefined((Promise)record.Promise), "promise", record.Promise);
        Require(record.PromptTokens >= 0, "prompt_tokens", record.PromptTokens);
        Require(record.MaxOutputTokens >= 1, "max_output_tokens", record.MaxOutputTokens);
        Require(record.Choices >= 1, "choices", record.Choices);
        return new InferenceRequest
        {
            Id = new RequestId(record.Id),
            Model = new ModelName(record.Model),
            Kind = (RequestKind)record.Kind,
            Body = body,
            PromptTokens = record.PromptTokens,
            MaxOutputTokens = record.MaxOutputTokens,
            Choices = record.Choices,
            Lane = (Lane)record.Lane,
            Promise = (Promise)record.Promise,
            Owner = new Owner(record.Organization, record.Team, record.Key),
            Conversation = record.Conversation.Length > 0 ? record.Conversation : null,
            Seed = record.Seed,
            AcceptedAt = DateTimeOffset.FromUnixTimeMilliseconds(record.AcceptedAtUnixMs),
            Deadline = DateTimeOffset.FromUnixTimeMilliseconds(record.DeadlineUnixMs),
            Holder = record.Holder,
            Resumable = record.Resumable,
            Shape = record.Shape.Memory,
        };
    }

    private static void Require(bool holds, string field, object value)
    {
        if (!holds) throw new InvalidDataException($"The request record's '{field}' is '{value}', which no release wrote.");
    }
}
