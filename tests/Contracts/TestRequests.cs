using System.Text;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless;

/// <summary>Requests and events for tests, in round numbers.</summary>
internal static class TestRequests
{
    public static readonly ModelName Model = new("tiny");

    /// <summary>In whole milliseconds, which every adapter keeps; far enough ahead of any clock that nothing expires by itself, however long all the tests of a process take.</summary>
    public static readonly DateTimeOffset Deadline = DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()).AddHours(4);

    public static InferenceRequest New(ModelName? model = null) => new()
    {
        Id = RequestId.New("chatcmpl-"),
        Model = model ?? Model,
        Endpoint = EndpointName.ChatCompletions,
        Body = Encoding.UTF8.GetBytes("""{"model":"tiny","messages":[{"role":"user","content":"é\n"}]}"""),
        PromptTokens = 10,
        MaxOutputTokens = 20,
        Seed = ulong.MaxValue,
        AcceptedAt = Deadline.AddMinutes(-10),
        Deadline = Deadline,
    };

    /// <summary>A chunk of one token of the first choice.</summary>
    public static RequestEvent Chunk(int position, string text = " word") => new RequestEvent.Chunk([new ChoiceChunk(0, position, [position], text)]);

    /// <summary>An event as text, whatever lists it holds: to compare what went in with what came out.</summary>
    public static string Show(RequestEvent value) => $"{value.GetType().Name} {JsonSerializer.Serialize<object>(value)}";
}
