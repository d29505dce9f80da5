using System.Net;
using System.Text.Json;

namespace Serverless.Tests.Cli;

/// <summary>What gateways answered, shortened.</summary>
internal static class Answers
{
    public const string Key = "sk-good";

    private const string Pools = """
        {"pools": [
          {"name": "tiny-cpu", "model": "tiny", "class": "cpu", "state": "zero", "desired": 0, "ready": 0, "pendingTokens": 0, "runningTokens": 0, "kvUsed": 0, "lastDecision": null},
          {"name": "llama-3-8b-a10", "model": "llama-3-8b", "class": "a10", "state": "ready", "desired": 2, "ready": 2, "pendingTokens": 0, "runningTokens": 512, "kvUsed": 0.02,
           "lastDecision": {"at": "2026-01-01T12:30:05Z", "replicas": 2, "active": true, "reasons": ["512 tokens running on 2 replicas → stays 2"]}},
          {"name": "llama-3-8b-a100", "model": "llama-3-8b", "class": "a100", "state": "starting", "desired": 12, "ready": 3, "pendingTokens": 1234567, "runningTokens": 45678, "kvUsed": 0.87,
           "lastDecision": {"at": "2026-01-01T12:30:06Z", "replicas": 12, "active": true, "reasons": ["12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s → 12"]}}
        ]}
        """;

    private const string LargeDecisions = """
        {"pool": "llama-3-8b-a100", "decisions": [
          {"at": "2025-12-31T09:00:00Z", "replicas": 0, "active": false, "reasons": ["no work pending or running → 0"]},
          {"at": "2026-01-01T12:30:06Z", "replicas": 12, "active": true,
           "reasons": ["12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s; cold start 14.0 s; 0 up or loading → 12", "at most 12"],
           "inputs": {"workSeconds": 9.3, "targetSeconds": 5, "coldStartSeconds": 14}}
        ]}
        """;

    private const string SmallDecisions = """{"pool": "llama-3-8b-a10", "decisions": [{"at": "2026-01-01T12:30:05Z", "replicas": 2, "active": true, "reasons": ["512 tokens running on 2 replicas → stays 2"], "inputs": {"runningTokens": 512}}]}""";

    private const string Letter = """{"id": "chatcmpl-1", "model": "tiny", "error": "replica_failed", "message": "given up after 3 attempts: the engine ended", "attempts": 3, "created_at": 1767270600, "bytes": 1234, "body": "{\"model\": \"tiny\"}"}""";

    private const string Done = """
        {"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "model": "tiny", "errors": null, "input_file_id": "file-1", "completion_window": "24h", "status": "completed",
         "output_file_id": "file-2", "error_file_id": "file-3", "created_at": 1767270600, "expires_at": 1767357000, "request_counts": {"total": 2000, "completed": 1998, "failed": 2}}
        """;

    private const string Running = """
        {"id": "batch_2", "object": "batch", "endpoint": "/v1/chat/completions", "model": null, "errors": null, "input_file_id": "file-1", "completion_window": "24h", "status": "in_progress",
         "output_file_id": null, "error_file_id": null, "created_at": 1767270600, "expires_at": 1767357000, "request_counts": {"total": 2000, "completed": 250, "failed": 0}}
        """;

    private const string Faulty = """
        {"id": "batch_3", "object": "batch", "endpoint": "/v1/completions", "model": null, "input_file_id": "file-4", "completion_window": "24h", "status": "failed",
         "errors": {"object": "list", "data": [{"code": "duplicate_custom_id", "message": "Another line before this one has the same 'custom_id'.", "param": "custom_id", "line": 7}]},
         "output_file_id": null, "error_file_id": null, "created_at": 1767184200, "expires_at": 1767270600, "request_counts": {"total": 0, "completed": 0, "failed": 0}}
        """;

    private const string Results = """{"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "body": {"text": "tiny"}}, "error": null}""";

    /// <summary>An event that asks.</summary>
    public const string Asked = """{"specversion": "1.0", "id": "order-1", "source": "/shop", "type": "shop.asked", "time": "2026-01-01T12:30:05Z", "data": {"endpoint": "/v1/completions", "body": {"model": "tiny", "prompt": "x"}}}""";

    private const string Ended = """{"id": "cmpl-1", "object": "request", "status": "completed", "response": {"choices": [{"text": "cold"}]}, "error": null}""";

    private const string Told = """{"specversion": "1.0", "id": "cmpl-1", "source": "/serverless/gateway", "type": "dev.serverless.request.completed", "subject": "cmpl-1", "time": "2026-01-01T12:30:06Z", "topic": "serverless.results", "data": {"id": "cmpl-1", "status": "completed", "error": null}}""";

    private const string Refusal = """{"specversion": "1.0", "id": "cmpl-2", "source": "/serverless/gateway", "type": "dev.serverless.request.failed", "subject": "cmpl-2", "time": "2026-01-01T12:30:07Z", "topic": "serverless.results", "missed": "3", "data": {"id": "cmpl-2", "status": "failed", "error": {"message": "The model 'nope' does not exist."}}}""";

    private const string Delta = """{"specversion": "1.0", "id": "cmpl-1.2", "source": "/serverless/gateway", "type": "dev.serverless.request.delta", "subject": "cmpl-1", "time": "2026-01-01T12:30:06Z", "topic": "shop.answers", "data": {"text": " pear"}}""";

    private const string Stream = """
        : waiting: pool tiny-cpu loads, 40 %
        data: {"choices": [{"delta": {"content": "Hot's opposite"}}]}

        data: {"choices": [{"delta": {"content": " is cold."}, "finish_reason": "stop"}]}

        data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5}}

        data: [DONE]

        """;

    /// <summary>A gateway with two models.</summary>
    public static CannedGateway Gateway() => new(
        ("GET /v1/models", HttpStatusCode.OK, """{"data": [{"id": "tiny"}, {"id": "llama-3-8b"}]}"""),
        ("POST /v1/chat/completions", HttpStatusCode.OK, Stream),
        ("GET /admin/pools", HttpStatusCode.OK, Pools),
        ("GET /admin/pools/tiny-cpu/decisions", HttpStatusCode.OK, """{"pool": "tiny-cpu", "decisions": []}"""),
        ("GET /admin/pools/llama-3-8b-a10/decisions", HttpStatusCode.OK, SmallDecisions),
        ("GET /admin/pools/llama-3-8b-a100/decisions", HttpStatusCode.OK, LargeDecisions),
        ("GET /admin/dead-letters?limit=100", HttpStatusCode.OK, $$"""{"data": [{{Letter}}]}"""),
        ("GET /admin/dead-letters/chatcmpl-1", HttpStatusCode.OK, Letter),
        ("POST /admin/dead-letters/chatcmpl-1/redrive", HttpStatusCode.OK, """{"request": "chatcmpl-2"}"""),
        ("DELETE /admin/dead-letters/chatcmpl-1", HttpStatusCode.OK, "{}"),
        ("GET /admin/events", HttpStatusCode.OK, $"\n{Asked.Replace("\"data\"", "\"topic\": \"serverless.requests\", \"data\"")}\n{Delta}\n\n{Told}\n{Refusal}\n"),
        ("GET /admin/events?topic=serverless.results", HttpStatusCode.OK, $"\n{Told}\n"),
        ("POST /admin/events/serverless.requests", HttpStatusCode.Accepted, Ended.Replace("completed", "queued").Replace("""{"choices": [{"text": "cold"}]}""", "null")),
        ("POST /admin/events/serverless.requests?wait=20", HttpStatusCode.Accepted, Ended.Replace("completed", "in_progress").Replace("""{"choices": [{"text": "cold"}]}""", "null")),
        ("POST /admin/events/serverless.requests?wait=20", HttpStatusCode.OK, Ended),
        ("POST /admin/events/orders", HttpStatusCode.NotFound, """{"error": {"message": "The model 'nope' does not exist; see GET /v1/models.", "code": "model_not_found"}}"""),
        ("POST /admin/events/failing?wait=20", HttpStatusCode.OK, """{"id": "cmpl-3", "object": "request", "status": "failed", "response": null, "error": {"message": "The engine ended."}}"""),
        ("POST /v1/files", HttpStatusCode.OK, """{"id": "file-1"}"""),
        ("POST /v1/batches", HttpStatusCode.OK, Running.Replace("in_progress", "validating").Replace("2000", "0").Replace("250", "0")),
        ("GET /v1/batches?limit=20", HttpStatusCode.OK, $$"""{"data": [{{Running}}, {{Done}}, {{Faulty}}]}"""),
        ("GET /v1/batches/batch_1", HttpStatusCode.OK, Done),
        ("GET /v1/batches/batch_2", HttpStatusCode.OK, Running),
        ("GET /v1/batches/batch_3", HttpStatusCode.OK, Faulty),
        ("POST /v1/batches/batch_2/cancel", HttpStatusCode.OK, Running.Replace("in_progress", "cancelling")),
        ("GET /v1/files/file-2/content", HttpStatusCode.OK, $"{Results}\n"),
        ("GET /v1/files/file-3/content", HttpStatusCode.OK, """{"id": "batch_req_2", "custom_id": "b", "response": null, "error": {"code": "batch_expired"}}"""));

    /// <summary>A gateway with a text in everything that it says.</summary>
    /// <param name="text">As it is in JSON.</param>
    public static CannedGateway Saying(string text)
    {
        var letter = Letter.Replace("the engine ended", text).Replace("tiny", text).Replace("replica_failed", text);
        var decisions = $$$"""{"decisions": [{"at": "2026-01-01T12:30:05Z", "replicas": 2, "active": true, "reasons": ["{{{text}}}"], "inputs": {"{{{text}}}": "{{{text}}}"}}]}""";
        var pool = Uri.EscapeDataString(JsonSerializer.Deserialize<string>($"\"tiny-cpu{text}\"")!);
        return new(
            ("GET /v1/models", HttpStatusCode.OK, $$"""{"data": [{"id": "{{text}}"}]}"""),
            ("POST /v1/chat/completions", HttpStatusCode.OK, $$$"""
                data: {"choices": [{"delta": {"content": "{{{text}}}"}, "finish_reason": "{{{text}}}[red]"}]}
                data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5}}
                data: [DONE]
                """),
            ("GET /admin/pools", HttpStatusCode.OK, Pools.Replace("tiny-cpu", "tiny-cpu" + text).Replace("512 tokens", text).Replace("zero", text)),
            ($"GET /admin/pools/{pool}/decisions", HttpStatusCode.OK, decisions),
            ("GET /admin/pools/llama-3-8b-a10/decisions", HttpStatusCode.OK, decisions),
            ("GET /admin/pools/llama-3-8b-a100/decisions", HttpStatusCode.OK, decisions),
            ("GET /admin/dead-letters?limit=100", HttpStatusCode.OK, $$"""{"data": [{{letter}}]}"""),
            ("GET /admin/dead-letters/chatcmpl-1", HttpStatusCode.OK, letter),
            ("POST /admin/dead-letters/chatcmpl-1/redrive", HttpStatusCode.OK, $$"""{"request": "{{text}}"}"""),
            ("GET /v1/batches?limit=20", HttpStatusCode.OK, $$"""{"data": [{{Done.Replace("tiny", text)}}]}"""),
            ("GET /v1/batches/batch_1", HttpStatusCode.OK, Done.Replace("tiny", text)),
            ("GET /v1/files/file-2/content", HttpStatusCode.OK, Results.Replace("tiny", JsonSerializer.Deserialize<string>($"\"{text}\"")!)),
            ("DELETE /admin/dead-letters/chatcmpl-9", HttpStatusCode.NotFound, $$$"""{"error": {"message": "{{{text}}}"}}"""));
    }

    /// <summary>A server with one answer, to whatever way of asking.</summary>
    public static CannedGateway Instead(string path, string body) => new(
        ("GET /v1/models", HttpStatusCode.OK, """{"data": [{"id": "tiny"}]}"""), ($"GET {path}", HttpStatusCode.OK, body), ($"POST {path}", HttpStatusCode.OK, body), ($"DELETE {path}", HttpStatusCode.OK, body));

    /// <summary>A gateway that says the same to everything that is asked.</summary>
    public static CannedGateway Refusing(HttpStatusCode status, string message, params string[] routes) =>
        new([.. routes.Select(route => (route, (HttpStatusCode?)status, $$$"""{"error": {"message": "{{{message}}}"}}"""))]);
}
