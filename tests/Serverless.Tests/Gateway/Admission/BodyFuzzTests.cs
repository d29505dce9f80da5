using System.Text;
using System.Text.Json;
using CsCheck;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Requests;

namespace Serverless.Tests.Gateway.Admission;

/// <summary>Whatever the bytes are: taken, or refused as the client's fault; no other exception, no hang.</summary>
public sealed class BodyFuzzTests
{
    private static readonly byte[][] Seeds =
    [
        """{"model":"m","messages":[{"role":"system","content":"a\u00e9\ud83d\ude00"},{"role":"user","content":[{"type":"text","text":"b"}]}],"temperature":0.5,"stop":["x"],"stream":true,"stream_options":{"include_usage":true}}"""u8.ToArray(),
        """{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}],"tools":[{"type":"function","function":{"name":"f"}}],"logit_bias":{"5":1},"metadata":{"k":"v"}}"""u8.ToArray(),
        """{"model":"m","prompt":[[1,2],[3]],"n":2,"echo":false,"logprobs":5,"max_tokens":7,"seed":-5}"""u8.ToArray(),
        """{"model":"m","prompt":["a","b"],"best_of":3,"suffix":null,"own":{"a":[1,{"b":null}]}}"""u8.ToArray(),
    ];

    private static readonly byte[][] Pieces = [.. new[] { "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "-1", "1e999", "\\ud800", "\\u0000", "\"model\":", "\u00e9", " ", "0" }.Select(Encoding.UTF8.GetBytes), [0xFF], [0x00], [0xEF, 0xBB, 0xBF]];

    private static readonly Gen<byte[]> Mutated =
        from seed in Gen.Int[0, Seeds.Length - 1].Select(i => Seeds[i])
        from edits in Gen.Select(Gen.Int[0, 1000], Gen.Int[0, 8], Gen.Int[0, Pieces.Length - 1].Select(i => Pieces[i])).List[1, 6]
        select Apply(seed, edits);

    [Fact]
    public void Mutated_bodies_are_taken_or_refused() => Mutated.Sample(body => (TakenOrRefused(EndpointName.ChatCompletions, body), TakenOrRefused(EndpointName.Completions, body)) is (true, true), iter: 20_000);

    [Fact]
    public void Random_bytes_are_taken_or_refused() => Gen.Byte.Array[0, 64].Sample(body => TakenOrRefused(EndpointName.ChatCompletions, body), iter: 20_000);

    [Fact]
    public void What_is_taken_is_what_a_strict_reader_of_JSON_takes() => Mutated.Sample(
        body =>
        {
            try
            {
                BodyParser.Parse(EndpointName.ChatCompletions, body);
            }
            catch (ServingException)
            {
                return true;
            }

            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return document.RootElement.GetProperty("messages").GetArrayLength() > 0;
        },
        iter: 20_000);

    /// <summary>Closed up it is the same JSON, whatever it holds.</summary>
    [Fact]
    public void Closing_up_changes_no_value() => Gen.Select(Gen.Int[0, Seeds.Length - 1], Gen.String.Array[0, 4], Gen.Int[0, 6000]).Sample(
        (seed, texts, spaces) =>
        {
            var padding = new string(' ', 3000 + spaces) + "\n\t";
            var padded = string.Join($"{padding},{padding}", texts.Select(text => JsonSerializer.Serialize(text)));
            byte[] body = [.. Seeds[seed][..^1], .. Encoding.UTF8.GetBytes($",{padding}\"texts\":{padding}[{padded}]}}")];
            var before = JsonDocument.Parse(body).RootElement.GetRawText();
            try
            {
                BodyParser.Parse(seed < 2 ? EndpointName.ChatCompletions : EndpointName.Completions, ref body);
            }
            catch (ServingException)
            {
                return true; // a text may hold half of a surrogate pair
            }

            using var after = JsonDocument.Parse(body);
            using var was = JsonDocument.Parse(before);
            return JsonElement.DeepEquals(was.RootElement, after.RootElement) && body.Length < before.Length;
        },
        iter: 1000);

    private static bool TakenOrRefused(EndpointName kind, byte[] body)
    {
        try
        {
            BodyParser.Parse(kind, body);
            return true;
        }
        catch (ServingException e)
        {
            return e.Fault.Error == ServingError.InvalidRequest;
        }
    }

    private static byte[] Apply(byte[] seed, List<(int At, int Remove, byte[] Insert)> edits)
    {
        var body = new List<byte>(seed);
        foreach (var (at, remove, insert) in edits)
        {
            var start = at % (body.Count + 1);
            body.RemoveRange(start, Math.Min(remove, body.Count - start));
            body.InsertRange(start, insert);
        }

        return [.. body];
    }
}
